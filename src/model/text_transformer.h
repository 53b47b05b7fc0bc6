#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "model/transformer_block.h"
#include "weights/config.h"

namespace mii {

/// The text tower: CLIP's transformer, then the projection into the space that it shares with images.
class TextTransformer {
 public:
  /// checkpoint: where the token embedding may stay; it must outlive this.
  TextTransformer(const TextTowerConfig& config, const Checkpoint& checkpoint, Backend& backend);

  /// ids: each text's token ids, start and end token included, no padding; none longer than the context.
  /// Unit vectors [T, D]; they live until the next call. Only these tokens are computed: padding would be
  /// masked out everywhere.
  ConstRows embed(std::span<const std::vector<int32_t>> texts);

  int64_t embedding_dim() const { return projection_.out; }

 private:
  TextTowerConfig config_;
  Backend& backend_;
  TokenEmbedding embedding_;
  std::vector<TransformerBlock> blocks_;
  LayerNorm norm_;
  Linear projection_;

  Buffer x_;
  Buffer qkv_;
  Buffer pooled_;
  Buffer vectors_;
};

}  // namespace mii
