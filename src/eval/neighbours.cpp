#include "eval/neighbours.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

namespace mii {
namespace {

Matrix unit_rows(const Matrix& m) {
  Matrix unit = m.clone();
  for (size_t r = 0; r < unit.rows(); ++r) {
    double squares = 0;
    for (const float v : unit.row(r)) squares += static_cast<double>(v) * v;
    const auto scale = static_cast<float>(1 / std::sqrt(std::max(squares, 1e-30)));
    for (float& v : unit.row(r)) v *= scale;
  }
  return unit;
}

float dot(std::span<const float> a, std::span<const float> b) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace

void for_each_query(const Matrix& references, std::span<const std::string> reference_groups,
                    const Matrix& queries, std::span<const std::string> query_groups,
                    const std::function<void(size_t query, std::vector<Distance>& distances)>& take) {
  const Matrix from = unit_rows(references), to = unit_rows(queries);
#pragma omp parallel for schedule(dynamic, 16)
  for (size_t q = 0; q < to.rows(); ++q) {
    std::vector<Distance> distances;
    for (size_t r = 0; r < from.rows(); ++r)
      if (reference_groups[r] != query_groups[q])
        distances.emplace_back(-dot(to.row(q), from.row(r)), static_cast<uint32_t>(r));
    take(q, distances);
  }
}

std::span<const Distance> nearest(std::vector<Distance>& distances, size_t k) {
  const size_t n = std::min(k, distances.size());
  std::ranges::partial_sort(distances, distances.begin() + static_cast<std::ptrdiff_t>(n));
  return std::span(distances).first(n);
}

std::vector<std::vector<uint32_t>> nearest_neighbours(const Matrix& references,
                                                      std::span<const std::string> reference_groups,
                                                      const Matrix& queries,
                                                      std::span<const std::string> query_groups, size_t k) {
  std::vector<std::vector<uint32_t>> neighbours(queries.rows());
  for_each_query(references, reference_groups, queries, query_groups,
                 [&](size_t q, std::vector<Distance>& distances) {
                   for (const auto& [distance, r] : nearest(distances, k)) neighbours[q].push_back(r);
                 });
  return neighbours;
}

Matrix neighbour_votes(const std::vector<std::vector<uint32_t>>& neighbours,
                       std::span<const size_t> reference_labels, size_t labels, size_t k) {
  const auto all = static_cast<float>(k);
  Matrix votes(neighbours.size(), labels);
  for (size_t q = 0; q < neighbours.size(); ++q) {
    const auto row = votes.row(q);
    for (size_t i = 0; i < neighbours[q].size(); ++i) {
      float& vote = row[reference_labels[neighbours[q][i]]];
      vote += vote > 0 ? 1 : 1 - static_cast<float>(i) / (1024 * all);
    }
    for (float& vote : row) vote /= all;
  }
  return votes;
}

std::vector<float> neighbour_means(const std::vector<std::vector<uint32_t>>& neighbours,
                                   std::span<const float> reference_values) {
  std::vector<float> means;
  for (const auto& near : neighbours) {
    double sum = 0;
    for (const uint32_t r : near) sum += reference_values[r];
    means.push_back(static_cast<float>(sum / static_cast<double>(near.size())));
  }
  return means;
}

}  // namespace mii
