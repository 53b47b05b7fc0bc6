#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "heads/products.h"
#include "mii/matrix.h"

namespace mii::heads {

/// What a layer does with its products.
enum class Then {
  nothing,
  gelu,  ///< x * (1 + erf(x / sqrt(2))) / 2
  relu,  ///< max(x, 0)
  tanh,
  logistic,    ///< 1 / (1 + exp(-x))
  layer_norm,  ///< (x - mean) / sqrt(variance + 1e-5) * gain + offset
};

/// "none", "gelu", "relu", "tanh", "logistic", "norm"
const char* to_string(Then then);
/// Throws Error{invalid_argument} for another name.
Then parse_then(std::string_view name);

/// Values [in] become values [out]. All numbers are float32, as they were trained.
struct MlpLayer {
  Rows64 weights;  ///< [out, in + 1], the bias last
  Then then = Then::nothing;
  Rows64 norm;  ///< [2, out], gains and offsets; of Then::layer_norm
};

/// Layers from a vector [D] to the scores [K].
struct Mlp {
  std::vector<MlpLayer> layers;
  double weight = 1;  ///< of the scores, beside those of the coefficients

  size_t dim() const { return layers.front().weights.cols() - 1; }
};

/// Throws Error{invalid_argument} for layers that do not fit each other or the labels, that are too many or
/// too large, or whose numbers are not finite.
void expect_layers(const Mlp& mlp, size_t labels);

/// [n, K], with the weight. Products and sums are float64, so that the result does not depend on what else is
/// scored. vectors: [n, D].
Rows64 mlp_scores(const Mlp& mlp, const Matrix& vectors);

}  // namespace mii::heads
