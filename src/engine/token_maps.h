#pragma once

#include <span>
#include <vector>

#include "heads/products.h"
#include "mii/engine.h"
#include "mii/explain.h"

namespace mii {

/// The end of the image tower, in float64: vector = unit(norm(mean of the tokens) * projection).
struct TowerEnd {
  std::vector<float> gamma;  ///< [C], of the norm
  std::vector<float> beta;   ///< [C]
  double epsilon = 0;
  heads::Rows64 projection;  ///< [C, D]
};

/// Splits scores in these directions into the tokens' parts.
class ScoreSplitter {
 public:
  /// directions: [K, D]. Both must outlive the splitter.
  ScoreSplitter(const TowerEnd& end, const Matrix& directions);

  /// tokens: [rows * cols, C]; vector: [D], what the tower made of them.
  TokenMaps split(const ImageTokens& tokens, std::span<const float> vector) const;

 private:
  const TowerEnd& end_;
  const Matrix& directions_;
  heads::Rows64 parts_;            ///< [C, K]: gamma * (projection * direction)
  std::vector<double> constants_;  ///< [K]: beta * (projection * direction)
};

}  // namespace mii
