#pragma once

#include <cstddef>
#include <vector>

#include "mii/matrix.h"

namespace mii {

/// What two precisions make of the same images.
struct ImageDifference {
  size_t image = 0;     ///< row of the vectors
  double distance = 0;  ///< cosine distance of its two vectors
  size_t from = 0;      ///< its best label by each, the first of equals
  size_t to = 0;
};

struct VectorComparison {
  std::vector<ImageDifference> images;  ///< the furthest first, equals in their order
  double mean = 0;                      ///< of the distances
  double median = 0;                    ///< of an even number, the mean of the two in the middle
  double largest = 0;
  size_t agreeing = 0;  ///< images whose best label is the same
};

/// An answer for each image: its vector [images, D] and its scores by label [images, K].
struct Answers {
  Matrix vectors;
  Matrix scores;
};

/// Throws Error{invalid_argument} unless both have vectors of the same length and scores of the same labels
/// for the same number of images, one or more.
VectorComparison compare_vectors(const Answers& from, const Answers& to);

}  // namespace mii
