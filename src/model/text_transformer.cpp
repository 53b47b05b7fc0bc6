#include "model/text_transformer.h"

#include <algorithm>
#include <string>

namespace mii {
namespace {

constexpr const char* kTokenEmbedding = "lang_encoder.token_embedding.weight";

// Several texts as rows of one computation.
struct Batch {
  std::vector<int32_t> ids;
  std::vector<int32_t> places;      // of each token in its text
  std::vector<int64_t> offsets{0};  // of each text's first row, then the number of rows
  std::vector<int64_t> ends;        // the rows at which the texts' vectors are read
};

Batch join(std::span<const std::vector<int32_t>> texts) {
  Batch batch;
  for (const auto& text : texts) {
    for (size_t i = 0; i < text.size(); ++i) batch.places.push_back(static_cast<int32_t>(i));
    batch.ids.insert(batch.ids.end(), text.begin(), text.end());
    // The end token: the first largest id.
    batch.ends.push_back(batch.offsets.back() + (std::ranges::max_element(text) - text.begin()));
    batch.offsets.push_back(static_cast<int64_t>(batch.ids.size()));
  }
  return batch;
}

}  // namespace

TextTransformer::TextTransformer(const TextTowerConfig& config, const Checkpoint& checkpoint,
                                 Backend& backend)
    : config_(config), backend_(backend), x_(backend), qkv_(backend), pooled_(backend), vectors_(backend) {
  const WeightReader weights(checkpoint, backend);
  embedding_ = weights.token_embedding(kTokenEmbedding, "lang_encoder.positional_embedding");
  for (int64_t layer = 0; layer < config.layers; ++layer)
    blocks_.push_back(TransformerBlock::read(weights, "lang_encoder.resblocks." + std::to_string(layer)));
  norm_ = weights.layer_norm("lang_encoder.ln_final", TransformerBlock::kEpsilon);
  projection_ = weights.projection("lang_projection");
}

ConstRows TextTransformer::embed(std::span<const std::vector<int32_t>> texts) {
  const Batch batch = join(texts);
  const auto tokens = static_cast<int64_t>(batch.ids.size());
  const Rows x = x_.take(tokens, config_.width);
  const Rows qkv = qkv_.take(tokens, 3 * config_.width);

  backend_.embed_tokens(batch.ids, batch.places, embedding_, x);
  for (const TransformerBlock& block : blocks_) {
    // x += out_proj(attention(in_proj(ln_1(x))))
    backend_.norm_qkv(x, block.norm, block.qkv, qkv);
    backend_.text_attention_add(qkv, {batch.offsets, config_.heads, config_.causal}, block.proj, x);
    // x += c_proj(quick_gelu(c_fc(ln_2(x))))
    backend_.feed_forward_add(block.feed_forward, x);
  }

  const auto count = static_cast<int64_t>(texts.size());
  const Rows pooled = pooled_.take(count, config_.width);
  const Rows y = vectors_.take(count, projection_.out);
  backend_.gather_rows(x, batch.ends, pooled);
  backend_.norm_linear(pooled, norm_, projection_, y);
  backend_.l2_normalise(y);
  return y;
}

}  // namespace mii
