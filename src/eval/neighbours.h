#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "mii/matrix.h"

namespace mii {

/// [queries]: each query's k nearest references by cosine, the nearest first. References of the query's own
/// group are passed over, so there may be less than k. Vectors need not be of unit length.
std::vector<std::vector<uint32_t>> nearest_neighbours(const Matrix& references,
                                                      std::span<const std::string> reference_groups,
                                                      const Matrix& queries,
                                                      std::span<const std::string> query_groups, size_t k);

/// [queries, labels]: the share of k neighbours that have the label. The label whose nearest neighbour is
/// nearer wins a tie: the rank of that neighbour (0: the nearest of all) takes up to a thousandth of a vote
/// away.
Matrix neighbour_votes(const std::vector<std::vector<uint32_t>>& neighbours,
                       std::span<const size_t> reference_labels, size_t labels, size_t k);

/// [queries]: the mean of the neighbours' values, NaN without neighbours.
std::vector<float> neighbour_means(const std::vector<std::vector<uint32_t>>& neighbours,
                                   std::span<const float> reference_values);

}  // namespace mii
