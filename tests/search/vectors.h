#pragma once

#include <cmath>
#include <cstdint>
#include <random>

#include "mii/matrix.h"

namespace mii::search {

/// Unit vectors around a few centres, as embeddings of images are: the nearest are near, the others not at
/// right angles.
inline Matrix clustered_vectors(size_t rows, size_t dim, uint32_t seed, float spread = 0.7f) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  constexpr size_t kCentres = 20;
  std::mt19937 centre_random(99);
  Matrix centres(kCentres, dim);
  for (float& value : centres.values()) value = normal(centre_random);
  normal.reset();
  Matrix vectors(rows, dim);
  for (size_t r = 0; r < rows; ++r) {
    const size_t centre = random() % kCentres;
    double squares = 0;
    for (size_t i = 0; i < dim; ++i) {
      vectors.row(r)[i] = centres.row(centre)[i] + spread * normal(random);
      squares += double{vectors.row(r)[i]} * vectors.row(r)[i];
    }
    for (float& value : vectors.row(r)) value = static_cast<float>(value / std::sqrt(squares));
  }
  return vectors;
}

}  // namespace mii::search
