#pragma once

#include "mii/matrix.h"

namespace mii::search {

/// A query of examples: the sum of the vectors that hits are to be like, minus the sum of those that they are
/// not to be like, each of length 1, divided by its length. like: [n, D], n >= 1; unlike: [m, D], or empty.
/// Returns [1, D]. Throws Error{invalid_argument} for vectors that are not finite, zero, or that cancel out.
Matrix query_of(const Matrix& like, const Matrix& unlike);

}  // namespace mii::search
