#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "backend/backend.h"
#include "model/weight_reader.h"
#include "weights/config.h"

namespace mii {

/// Sees the activations [B*N, C] after each part of a tower, under the reference's module name, and downloads
/// what it wants of them. For tests.
using Observer = std::function<void(std::string_view module, ConstRows x)>;

/// The image tower: DaViT (arXiv 2204.03645) as MedImageInsight configures it (arXiv 2410.06542), then the
/// projection into the space that it shares with texts.
class Davit {
 public:
  static constexpr float kEpsilon = 1e-5f;  ///< of the layer norms

  Davit(const ImageTowerConfig& config, const WeightReader& weights, Backend& backend);

  /// images: [B], sent to this tower's backend. Returns the last stage's tokens [B*N, C]; they live until the
  /// next call.
  ConstRows tokens(const SentImages& images, const Observer& observer = {});
  /// The same of bytes of RGB, [height, width, 3].
  ConstRows tokens(std::span<const uint8_t> image, const Observer& observer = {});

  /// The same in two steps. The first gives what enters the last stage, [B*N', C'], the tokens of the one
  /// before it, for the second, which also takes such tokens from elsewhere.
  ConstRows entering_tokens(const SentImages& images, const Observer& observer = {});
  ConstRows last_stage(ConstRows entering, const Observer& observer = {});

  /// Unit vectors [B, D] from what tokens() returned; they live until the next call.
  ConstRows embed(ConstRows tokens);

  /// The same of images: embed(tokens(images)). For a few images the backend may record its work.
  ConstRows vectors(const SentImages& images);

  /// Gives back the memory of the activations; what tokens() and embed() returned is lost.
  void free_activations();

  int64_t channels() const { return config_.stages.back().dim; }
  int64_t embedding_dim() const { return projection_.out; }
  Grid last_grid() const { return grids_.back(); }
  /// Of what enters the last stage: of the pixels, where it is the only one.
  Grid entering_grid() const { return grid_before(stages_.size() - 1); }

 private:
  friend class DavitGradient;  // goes back through the last stage's parts

  struct Block {
    std::optional<DepthwiseConv> conv1;
    LayerNorm norm;
    Linear qkv;
    Linear proj;
    std::optional<DepthwiseConv> conv2;
    FeedForward feed_forward;
  };
  struct BlockPair {
    Block spatial;
    Block channel;
  };
  struct Stage {
    PatchConv conv;
    LayerNorm norm;
    std::vector<BlockPair> blocks;
  };

  static Block read_block(const WeightReader& weights, const ImageTowerConfig& config,
                          const std::string& prefix, const std::string& attention);

  Grid grid_before(size_t s) const;
  ConstRows pixels(const SentImages& images);
  ConstRows stages_before_last(ConstRows pixels);
  ConstRows compute_stage(size_t s, ConstRows x);
  void embed_patches(size_t s, ConstRows x, const TokenGrid& from, Rows y);
  void spatial_block(const Block& block, const StageConfig& config, const TokenGrid& grid,
                     std::string_view name);
  void channel_block(const Block& block, const StageConfig& config, const TokenGrid& grid,
                     std::string_view name);
  WindowAttention window_attention(const Block& block, const StageConfig& config,
                                   const TokenGrid& grid) const;
  ChannelAttention channel_attention(const StageConfig& config, const TokenGrid& grid) const;
  void convolve(const std::optional<DepthwiseConv>& conv, const TokenGrid& grid);
  void observe(std::string_view block, std::string_view part) const;

  ImageTowerConfig config_;
  Backend& backend_;
  std::vector<Grid> grids_;
  std::vector<Stage> stages_;
  LayerNorm norm_;
  Linear projection_;

  // The activations: x_ is the residual stream, the buffers hold it, its next value and q|k|v.
  Rows x_;
  Buffer stream_;
  Buffer next_;
  Buffer qkv_;
  Buffer pixels_;
  Buffer pooled_;
  Buffer vectors_;
  const Observer* observer_ = nullptr;
};

}  // namespace mii
