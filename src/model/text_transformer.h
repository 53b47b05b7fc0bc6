#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "core/aligned_buffer.h"
#include "model/weight_reader.h"
#include "weights/config.h"

namespace mii {

/// The text tower: CLIP's transformer, then the projection into the space that it shares with images.
class TextTransformer {
 public:
  /// checkpoint: where the token embedding stays; it must outlive this.
  TextTransformer(const TextTowerConfig& config, const Checkpoint& checkpoint, Backend& backend);

  /// ids: each text's token ids, start and end token included, no padding; none longer than the context.
  /// Unit vectors y [T, D]. Only these tokens are computed: padding would be masked out everywhere.
  void embed(std::span<const std::vector<int32_t>> ids, Rows y);

  int64_t embedding_dim() const { return projection_.out; }

 private:
  struct Block {
    LayerNorm norm;
    Linear qkv;
    Linear proj;
    FeedForward feed_forward;
  };

  Block read_block(const WeightReader& weights, int64_t layer) const;
  void embed_token(int32_t id, size_t position, float* x) const;

  TextTowerConfig config_;
  Backend& backend_;
  const Checkpoint& checkpoint_;  // the token embedding [vocabulary, C] stays in its file
  std::vector<float> positions_;  // [context, C]
  std::vector<Block> blocks_;
  LayerNorm norm_;
  Linear projection_;

  AlignedBuffer<float> x_;
  AlignedBuffer<float> qkv_;
};

}  // namespace mii
