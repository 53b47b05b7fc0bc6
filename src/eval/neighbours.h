#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "mii/matrix.h"

namespace mii {

/// How far a reference is from a query, minus the cosine, and which it is. In order, the nearest comes first,
/// and of equally near ones the first.
using Distance = std::pair<float, uint32_t>;

/// Calls take for each query, on several threads, with the distances of the references, in their order.
/// References of the query's own group are passed over. Vectors need not be of unit length.
void for_each_query(const Matrix& references, std::span<const std::string> reference_groups,
                    const Matrix& queries, std::span<const std::string> query_groups,
                    const std::function<void(size_t query, std::vector<Distance>& distances)>& take);

/// The k nearest, or as many as there are, sorted. The others are in any order then.
std::span<const Distance> nearest(std::vector<Distance>& distances, size_t k);

/// [queries]: each query's k nearest references, the nearest first; less than k where there are not as many.
/// Otherwise as for_each_query.
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
