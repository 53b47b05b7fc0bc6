#include "model/transformer_block.h"

namespace mii {

TransformerBlock TransformerBlock::read(const WeightReader& weights, const std::string& prefix) {
  return {.norm = weights.layer_norm(prefix + ".ln_1", kEpsilon),
          .qkv = weights.linear(prefix + ".attn.in_proj_weight", prefix + ".attn.in_proj_bias"),
          .proj = weights.linear(prefix + ".attn.out_proj"),
          .feed_forward = {.norm = weights.layer_norm(prefix + ".ln_2", kEpsilon),
                           .fc1 = weights.linear(prefix + ".mlp.c_fc"),
                           .fc2 = weights.linear(prefix + ".mlp.c_proj"),
                           .activation = Activation::quick_gelu}};
}

}  // namespace mii
