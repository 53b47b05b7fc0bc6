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
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace

Matrix nearest_neighbour_votes(const Matrix& references, std::span<const size_t> reference_labels,
                               std::span<const std::string> reference_groups, const Matrix& queries,
                               std::span<const std::string> query_groups, size_t labels, size_t k) {
  const Matrix from = unit_rows(references), to = unit_rows(queries);
  Matrix votes(to.rows(), labels);
#pragma omp parallel for schedule(dynamic, 16)
  for (size_t q = 0; q < to.rows(); ++q) {
    std::vector<std::pair<float, size_t>> near;
    for (size_t r = 0; r < from.rows(); ++r)
      if (reference_groups[r] != query_groups[q]) near.emplace_back(-dot(to.row(q), from.row(r)), r);
    const size_t n = std::min(k, near.size());
    std::partial_sort(near.begin(), near.begin() + static_cast<std::ptrdiff_t>(n), near.end());
    const auto row = votes.row(q);
    for (size_t i = 0; i < n; ++i) {
      float& vote = row[reference_labels[near[i].second]];
      vote += vote > 0 ? 1 : 1 - static_cast<float>(i) / static_cast<float>(k);
    }
  }
  return votes;
}

}  // namespace mii
