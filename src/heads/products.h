#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "mii/matrix.h"

// The products that fitting and asking a head consist of, in float64, on all cores. The results do not depend
// on the number of threads.

namespace mii::heads {

/// Rows of values that are a whole number of vector registers long; what is beyond the columns is 0.
class Rows64 {
 public:
  Rows64() = default;
  Rows64(size_t rows, size_t cols);

  size_t rows() const { return rows_; }
  size_t cols() const { return cols_; }
  size_t stride() const { return stride_; }

  std::span<double> row(size_t i) { return {values_.data() + i * stride_, cols_}; }
  std::span<const double> row(size_t i) const { return {values_.data() + i * stride_, cols_}; }
  /// All rows with their padding, [rows, stride].
  std::span<double> values() { return values_; }
  std::span<const double> values() const { return values_; }

 private:
  size_t rows_ = 0;
  size_t cols_ = 0;
  size_t stride_ = 0;
  std::vector<double> values_;
};

/// Vectors [n, D] as features [n, D + 1]: the last one is 1, for the intercept.
Rows64 features_of(const Matrix& vectors);

/// Some rows of a matrix, in this order.
Rows64 some_rows(const Rows64& from, std::span<const size_t> rows);
Matrix some_rows(const Matrix& from, std::span<const size_t> rows);

/// Rows that are worked on together.
constexpr size_t kBlock = 32;

/// The scores of a block of feature rows: of weight row k and feature row first + r at [k * kBlock + r].
/// What is beyond `rows` is the score of nothing, 0.
struct ScoredBlock {
  size_t first = 0;
  size_t rows = 0;
  std::span<double> scores;  ///< [K, kBlock], to be overwritten at will
};

/// Calls take with the scores weights [K, C] * features [n, C] of each block, on several threads, in no
/// order.
void for_each_scored_block(const Rows64& features, const Rows64& weights,
                           const std::function<void(const ScoredBlock&)>& take);

/// The same, and adds up change^T * features, where take makes the scores into the change [K, kBlock] and
/// returns a value to be added up. Returns that sum; gradient [K, C] is overwritten.
double add_up_blocks(const Rows64& features, const Rows64& weights,
                     const std::function<double(const ScoredBlock&)>& take, Rows64& gradient);

/// Sum over the rows i of factors[i] * x_i x_i^T, [C, C]. No factors: of x_i x_i^T.
Rows64 gram(const Rows64& features, std::span<const double> factors = {});

/// sum [C, C] += the sum over the rows of x_i x_i^T, on the diagonal and above it alone. Rows are added in
/// their order, so that features may come in parts of any size.
void add_gram(const Rows64& features, Rows64& sum);

/// a [M, K] * b [K, N].
Rows64 product(const Rows64& a, const Rows64& b);

}  // namespace mii::heads
