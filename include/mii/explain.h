#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "mii/export.h"
#include "mii/matrix.h"

namespace mii {

/// Whose tokens of the image tower.
enum class TokenStage {
  last,         ///< what is pooled into the vector
  before_last,  ///< what enters the last stage, on a finer grid
};

/// Of a stage's tokens.
struct TokenShape {
  size_t rows = 0;  ///< of the grid, from the top
  size_t cols = 0;  ///< of the grid, from the left
  size_t channels = 0;

  size_t tokens() const { return rows * cols; }
};

/// What the image tower makes of one image before and after pooling.
struct ImageTokens {
  Matrix tokens;              ///< [rows * cols, channels] of a stage, row-major over the grid
  size_t rows = 0;            ///< of the grid, from the top
  size_t cols = 0;            ///< of the grid, from the left
  std::vector<float> vector;  ///< [embedding_dim], as Engine::encode_images gives it
};

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

/// Splits scores in some directions into what each token adds to them. Engine::splitter makes one; it needs
/// the engine no more. Safe to use from several threads.
class MII_API ScoreSplitter {
 public:
  class Impl;
  explicit ScoreSplitter(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

  /// tokens: of an image by the same engine; of another grid, width or vector length they are
  /// Error{invalid_argument}.
  TokenMaps split(const ImageTokens& tokens) const;

 private:
  std::shared_ptr<const Impl> impl_;
};

/// Each direction less the mean of all. The maps of these point; those of the directions alone add up to the
/// scores, and mostly show what all directions have in common. directions: [K, D]; returns [K, D], of one
/// direction zeros.
MII_API Matrix contrasted(const Matrix& directions);

}  // namespace mii
