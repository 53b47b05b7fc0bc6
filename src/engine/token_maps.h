#pragma once

#include <memory>
#include <span>
#include <vector>

#include "heads/products.h"
#include "mii/explain.h"

namespace mii {

/// The end of the image tower: vector = unit(norm(mean of the tokens) * projection).
struct TowerEnd {
  std::vector<float> gamma;  ///< [C], of the norm
  std::vector<float> beta;   ///< [C]
  double epsilon = 0;
  Matrix projection;  ///< [C, D]
};

/// Throws Error{invalid_argument} for tokens of another shape or with a vector of another length.
void expect_tokens(const ImageTokens& tokens, const TokenShape& shape, size_t vector_length);

/// Scores in directions [K, D].
std::vector<double> scores_of(std::span<const float> vector, const Matrix& directions);

/// to[first + k][i] = the dot product of gradient k*N + i and input i. gradients: [K*N, C]; inputs: [N, C].
void weigh(const Matrix& gradients, const Matrix& inputs, size_t first, Matrix& to);

/// directions: [K, D].
ScoreSplitter make_splitter(std::shared_ptr<const TowerEnd> end, const Matrix& directions);

}  // namespace mii
