#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

namespace mii {

/// A dense float32 matrix [rows, cols], row-major, that owns its values. Embeddings come as one row each.
class Matrix {
 public:
  Matrix() = default;
  Matrix(size_t rows, size_t cols) : rows_(rows), cols_(cols), values_(rows * cols) {}

  // Move-only: it may be large, so copies are made explicitly.
  Matrix(Matrix&& other) noexcept { *this = std::move(other); }
  Matrix& operator=(Matrix&& other) noexcept {
    rows_ = std::exchange(other.rows_, 0);
    cols_ = std::exchange(other.cols_, 0);
    values_ = std::move(other.values_);
    return *this;
  }
  Matrix clone() const {
    Matrix copy;
    copy.rows_ = rows_;
    copy.cols_ = cols_;
    copy.values_ = values_;
    return copy;
  }

  size_t rows() const { return rows_; }
  size_t cols() const { return cols_; }

  std::span<float> row(size_t i) { return {values_.data() + i * cols_, cols_}; }
  std::span<const float> row(size_t i) const { return {values_.data() + i * cols_, cols_}; }

  /// All values, row after row.
  std::span<float> values() { return values_; }
  std::span<const float> values() const { return values_; }

 private:
  size_t rows_ = 0;
  size_t cols_ = 0;
  std::vector<float> values_;
};

}  // namespace mii
