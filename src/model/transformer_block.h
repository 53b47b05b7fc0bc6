#pragma once

#include <string>

#include "backend/backend.h"
#include "model/weight_reader.h"

namespace mii {

/// A block of CLIP's text transformer, which the text tower and the report decoder are made of:
/// x += proj(attention(qkv(norm(x)))); x += feed_forward(x).
struct TransformerBlock {
  static constexpr float kEpsilon = 1e-12f;  ///< of the layer norms

  LayerNorm norm;
  Linear qkv;
  Linear proj;
  FeedForward feed_forward;

  /// From the tensors `prefix`.ln_1, .attn, .ln_2 and .mlp.
  static TransformerBlock read(const WeightReader& weights, const std::string& prefix);
};

}  // namespace mii
