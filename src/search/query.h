#pragma once

#include <set>
#include <span>
#include <string>
#include <vector>

#include "mii/matrix.h"
#include "search/collection.h"

namespace mii::search {

/// A query of examples: the sum of the vectors that hits are to be like, minus the sum of those that they are
/// not to be like, each of length 1, divided by its length. like: [n, D], n >= 1; unlike: [m, D], or empty.
/// Returns [1, D]. Throws Error{invalid_argument} for vectors that are not finite, zero, or that cancel out.
Matrix query_of(const Matrix& like, const Matrix& unlike);

/// Vectors of a query that come from several places, as rows. Throws Error{invalid_argument} when they are of
/// different lengths.
Matrix stacked(const std::vector<std::span<const float>>& vectors);

/// Leaves the items of these patients out. Throws Error{invalid_argument} when there are none.
void leave_out_patients(const std::set<std::string>& patients, SearchOptions& options);

}  // namespace mii::search
