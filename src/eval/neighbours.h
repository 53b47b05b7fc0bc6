#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "mii/matrix.h"

namespace mii {

/// [queries, labels]: how many of each query's k nearest references (cosine) have the label, minus rank / k
/// of the nearest one that has it (rank 0: the nearest of all), so that the nearer label wins a tie.
/// References of the query's own group do not vote. Vectors need not be of unit length.
Matrix nearest_neighbour_votes(const Matrix& references, std::span<const size_t> reference_labels,
                               std::span<const std::string> reference_groups, const Matrix& queries,
                               std::span<const std::string> query_groups, size_t labels, size_t k);

}  // namespace mii
