#pragma once

#include <cstddef>
#include <vector>

#include "mii/export.h"
#include "mii/matrix.h"

namespace mii {

/// From where in an image its scores come. A score is the dot product of the image's unit vector and a
/// direction: a text's vector, the difference of two, a linear head's coefficients. The image tower ends in
/// a mean over the last stage's tokens, a layer norm and a projection, so a score is exactly
///   constant + sum over the tokens of the map.
struct MII_API TokenMaps {
  size_t rows = 0;                ///< of the grid of tokens, from the top
  size_t cols = 0;                ///< of the grid of tokens, from the left
  Matrix maps;                    ///< [K, rows * cols], a grid for each direction, row-major
  std::vector<double> constants;  ///< [K]: what the norm's bias adds, which has no place in the image
  std::vector<double> scores;     ///< [K]: of the vector that Engine::encode_images gives

  /// How far constant and map are from the score that they should add up to.
  double completeness_error(size_t k) const;
  /// A direction's map less its mean: what each token says more than the mean token. [rows * cols]
  std::vector<float> centred(size_t k) const;
};

/// Each direction less the mean of all. The maps of these point; those of the directions alone add up to the
/// scores, and mostly show what all directions have in common. directions: [K, D].
MII_API Matrix contrasted(const Matrix& directions);

}  // namespace mii
