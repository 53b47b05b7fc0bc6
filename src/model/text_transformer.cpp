#include "model/text_transformer.h"

#include <algorithm>
#include <string>

namespace mii {
namespace {

constexpr float kEpsilon = 1e-12f;
constexpr const char* kTokenEmbedding = "lang_encoder.token_embedding.weight";

}  // namespace

TextTransformer::TextTransformer(const TextTowerConfig& config, const Checkpoint& checkpoint,
                                 Backend& backend)
    : config_(config), backend_(backend), checkpoint_(checkpoint) {
  const WeightReader weights(checkpoint, backend);
  const TensorView token_embedding = checkpoint.tensor(kTokenEmbedding);
  expect_finite(token_embedding, kTokenEmbedding);
  checkpoint.release(token_embedding);
  positions_ = weights.vector("lang_encoder.positional_embedding");
  for (int64_t layer = 0; layer < config.layers; ++layer) blocks_.push_back(read_block(weights, layer));
  norm_ = weights.layer_norm("lang_encoder.ln_final", kEpsilon);
  projection_ = weights.projection("lang_projection");
}

TextTransformer::Block TextTransformer::read_block(const WeightReader& weights, int64_t layer) const {
  const std::string prefix = "lang_encoder.resblocks." + std::to_string(layer);
  return {.norm = weights.layer_norm(prefix + ".ln_1", kEpsilon),
          .qkv = weights.linear(prefix + ".attn.in_proj_weight", prefix + ".attn.in_proj_bias"),
          .proj = weights.linear(prefix + ".attn.out_proj"),
          .feed_forward = {.norm = weights.layer_norm(prefix + ".ln_2", kEpsilon),
                           .fc1 = weights.linear(prefix + ".mlp.c_fc"),
                           .fc2 = weights.linear(prefix + ".mlp.c_proj"),
                           .activation = Activation::quick_gelu}};
}

void TextTransformer::embed(std::span<const std::vector<int32_t>> ids, Rows y) {
  std::vector<int64_t> offsets{0};
  for (const auto& text : ids) offsets.push_back(offsets.back() + static_cast<int64_t>(text.size()));
  const int64_t tokens = offsets.back();
  x_.reserve_discarding(static_cast<size_t>(tokens * config_.width));
  qkv_.reserve_discarding(static_cast<size_t>(tokens * config_.width * 3));
  const Rows x{x_.data(), tokens, config_.width};
  const Rows qkv{qkv_.data(), tokens, 3 * config_.width};

  for (size_t t = 0; t < ids.size(); ++t)
    for (size_t i = 0; i < ids[t].size(); ++i)
      embed_token(ids[t][i], i, x.row(offsets[t] + static_cast<int64_t>(i)));

  for (const Block& block : blocks_) {
    // x += out_proj(attention(in_proj(ln_1(x))))
    backend_.norm_linear(x, block.norm, block.qkv, qkv);
    backend_.text_attention_add(qkv, {offsets, config_.heads, config_.causal}, block.proj, x);
    // x += c_proj(quick_gelu(c_fc(ln_2(x))))
    backend_.feed_forward_add(block.feed_forward, x);
  }

  // A text's vector is read at its first largest id: the end token.
  const Rows pooled{qkv_.data(), y.rows, config_.width};
  for (size_t t = 0; t < ids.size(); ++t) {
    const int64_t end = std::max_element(ids[t].begin(), ids[t].end()) - ids[t].begin();
    std::copy_n(x.row(offsets[t] + end), config_.width, pooled.row(static_cast<int64_t>(t)));
  }
  backend_.norm_linear(pooled, norm_, projection_, y);
  backend_.l2_normalise(y);
}

// x = token_embedding[id] + positional_embedding[position]
void TextTransformer::embed_token(int32_t id, size_t position, float* x) const {
  const auto width = static_cast<size_t>(config_.width);
  checkpoint_.read_row(kTokenEmbedding, id, x);
  const float* at = positions_.data() + position * width;
  for (size_t c = 0; c < width; ++c) x[c] += at[c];
}

}  // namespace mii
