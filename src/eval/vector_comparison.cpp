#include "eval/vector_comparison.h"

#include <algorithm>
#include <functional>
#include <string>

#include "core/cosine.h"
#include "mii/error.h"

namespace mii {
namespace {

std::string size_of(const Matrix& m) { return std::to_string(m.rows()) + " x " + std::to_string(m.cols()); }

void expect_same_size(const char* what, const Matrix& from, const Matrix& to) {
  if (from.rows() != to.rows() || from.cols() != to.cols())
    throw Error(ErrorCode::invalid_argument, std::string("comparison: ") + what + " of " + size_of(from) +
                                                 " and of " + size_of(to) + ", expected the same");
}

size_t best_of(std::span<const float> scores) {
  return static_cast<size_t>(std::ranges::max_element(scores) - scores.begin());
}

// sorted: by distance.
double median_distance(const std::vector<ImageDifference>& sorted) {
  const size_t n = sorted.size();
  return (sorted[(n - 1) / 2].distance + sorted[n / 2].distance) / 2;
}

}  // namespace

VectorComparison compare_vectors(const Answers& from, const Answers& to) {
  expect_same_size("vectors", from.vectors, to.vectors);
  expect_same_size("scores", from.scores, to.scores);
  const size_t n = from.vectors.rows();
  if (n == 0 || from.scores.rows() != n || from.scores.cols() == 0)
    throw Error(ErrorCode::invalid_argument, "comparison: vectors of " + size_of(from.vectors) +
                                                 " and scores of " + size_of(from.scores) +
                                                 ", expected both for each image");
  VectorComparison comparison;
  for (size_t i = 0; i < n; ++i) {
    const ImageDifference difference{i, cosine_distance(from.vectors.row(i), to.vectors.row(i)),
                                     best_of(from.scores.row(i)), best_of(to.scores.row(i))};
    comparison.images.push_back(difference);
    comparison.mean += difference.distance / static_cast<double>(n);
    comparison.agreeing += difference.from == difference.to ? 1 : 0;
  }
  std::ranges::stable_sort(comparison.images, std::ranges::greater(), &ImageDifference::distance);
  comparison.largest = comparison.images.front().distance;
  comparison.median = median_distance(comparison.images);
  return comparison;
}

}  // namespace mii
