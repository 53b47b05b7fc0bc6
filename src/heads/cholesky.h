#pragma once

#include "heads/products.h"

namespace mii::heads {

/// A symmetric positive definite matrix as L * L^T.
struct Cholesky {
  Rows64 lower;    ///< L [n, n]
  Rows64 inverse;  ///< of L
};

/// Throws Error{invalid_argument} for a matrix that is not positive definite.
Cholesky cholesky(const Rows64& matrix);

/// The largest eigenvalue of a symmetric matrix.
double largest_eigenvalue(const Rows64& matrix);

/// x of matrix * x = right, one column; the matrix is symmetric positive definite. Throws as cholesky does.
std::vector<double> solve(const Rows64& matrix, std::span<const double> right);

}  // namespace mii::heads
