#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "heads/products.h"
#include "mii/matrix.h"

namespace mii::search {

/// The two directions in which vectors differ most, at right angles (principal component analysis: Pearson,
/// Phil. Mag. 2, 1901). Of equal vectors, and of one value, there are fewer: the others are 0.
struct PrincipalAxes {
  std::vector<double> mean;           ///< [D]
  heads::Rows64 axes;                 ///< [D, 2], a column each, of length 1, its largest value positive
  std::array<double, 2> share{0, 0};  ///< of the variance that lies along them, 0 to 1

  /// Where vectors [n, D] lie along the axes: [n, 2].
  Matrix project(const Matrix& vectors) const;
};

/// Adds up the covariance of vectors that come in parts, in float64. What comes out depends neither on the
/// parts nor on the number of threads.
class Covariance {
 public:
  /// Throws Error{unsupported} beyond kMaxDim values: the matrix is [dim, dim].
  explicit Covariance(size_t dim);
  static constexpr size_t kMaxDim = 2048;

  /// vectors: [n, D].
  void add(const Matrix& vectors);
  PrincipalAxes axes() const;

 private:
  size_t dim_;
  size_t count_ = 0;
  std::vector<double> first_;  // [D], the first vector: what is added up is the difference from it
  std::vector<double> sum_;    // [D]
  heads::Rows64 products_;     // [D, D], on the diagonal and above it
};

}  // namespace mii::search
