#include "model/davit.h"

#include <cmath>
#include <string>
#include <utility>

namespace mii {
namespace {

// Of more images each operator takes a device longer than the host takes to start the next.
constexpr size_t kMostRecorded = 8;

}  // namespace

Davit::Davit(const ImageTowerConfig& config, const WeightReader& weights, Backend& backend)
    : config_(config),
      backend_(backend),
      grids_(stage_grids(config)),
      stream_(backend),
      next_(backend),
      qkv_(backend),
      pixels_(backend),
      pooled_(backend),
      vectors_(backend) {
  for (size_t s = 0; s < config.stages.size(); ++s) {
    const StageConfig& stage = config.stages[s];
    const std::string conv = "image_encoder.convs." + std::to_string(s);
    stages_.push_back({.conv = weights.patch_conv(conv + ".proj", stage.patch_stride, stage.patch_padding),
                       .norm = weights.layer_norm(conv + ".norm", kEpsilon),
                       .blocks = {}});
    for (int64_t b = 0; b < stage.depth; ++b) {
      const std::string pair = "image_encoder.blocks." + std::to_string(s) + "." + std::to_string(b);
      stages_.back().blocks.push_back(
          {.spatial = read_block(weights, config, pair + ".spatial_block", "window_attn"),
           .channel = read_block(weights, config, pair + ".channel_block", "channel_attn")});
    }
  }
  norm_ = weights.layer_norm("image_encoder.norms", kEpsilon);
  projection_ = weights.projection("image_projection");
}

Davit::Block Davit::read_block(const WeightReader& weights, const ImageTowerConfig& config,
                               const std::string& prefix, const std::string& attention) {
  const std::string attn = prefix + "." + attention;
  const std::string ffn = prefix + ".ffn";
  Block block{.conv1 = {},
              .norm = weights.layer_norm(attn + ".norm", kEpsilon),
              .qkv = weights.linear(attn + ".fn.qkv"),
              .proj = weights.linear(attn + ".fn.proj"),
              .conv2 = {},
              .feed_forward = {.norm = weights.layer_norm(ffn + ".norm", kEpsilon),
                               .fc1 = weights.linear(ffn + ".fn.net.fc1"),
                               .fc2 = weights.linear(ffn + ".fn.net.fc2"),
                               .activation = Activation::gelu}};
  if (config.conv_at_attn) block.conv1 = weights.depthwise_conv(prefix + ".conv1.fn.dw");
  if (config.conv_at_ffn) block.conv2 = weights.depthwise_conv(prefix + ".conv2.fn.dw");
  return block;
}

ConstRows Davit::tokens(const SentImages& images, const Observer& observer) {
  return last_stage(entering_tokens(images, observer), observer);
}

ConstRows Davit::tokens(std::span<const uint8_t> image, const Observer& observer) {
  const ImageBytes bytes{image};
  return tokens(*backend_.send_images({&bytes, 1}), observer);
}

ConstRows Davit::entering_tokens(const SentImages& images, const Observer& observer) {
  observer_ = observer ? &observer : nullptr;
  const ConstRows x = stages_before_last(pixels(images));
  observer_ = nullptr;
  return x;
}

ConstRows Davit::stages_before_last(ConstRows pixels) {
  ConstRows x = pixels;
  for (size_t s = 0; s + 1 < stages_.size(); ++s) x = compute_stage(s, x);
  return x;
}

ConstRows Davit::last_stage(ConstRows entering, const Observer& observer) {
  observer_ = observer ? &observer : nullptr;
  const ConstRows x = compute_stage(stages_.size() - 1, entering);
  observer_ = nullptr;
  return x;
}

Grid Davit::grid_before(size_t s) const {
  return s == 0 ? Grid{config_.height, config_.width} : grids_[s - 1];
}

ConstRows Davit::compute_stage(size_t s, ConstRows x) {
  const Grid before = grid_before(s);
  const int64_t batch = x.rows / before.tokens();
  const TokenGrid grid{batch, grids_[s].height, grids_[s].width};
  const Rows y = next_.take(grid.rows(), config_.stages[s].dim);
  embed_patches(s, x, {batch, before.height, before.width}, y);
  x_ = y;
  std::swap(stream_, next_);
  observe("convs." + std::to_string(s), "");
  for (size_t b = 0; b < stages_[s].blocks.size(); ++b) {
    const std::string pair = "blocks." + std::to_string(s) + "." + std::to_string(b);
    spatial_block(stages_[s].blocks[b].spatial, config_.stages[s], grid, pair + ".spatial_block");
    channel_block(stages_[s].blocks[b].channel, config_.stages[s], grid, pair + ".channel_block");
  }
  return x_;
}

ConstRows Davit::embed(ConstRows tokens) {
  const int64_t batch = tokens.rows / last_grid().tokens();
  const Rows pooled = pooled_.take(batch, tokens.cols);
  const Rows y = vectors_.take(batch, projection_.out);
  backend_.mean_tokens(tokens, pooled);
  backend_.norm_linear(pooled, norm_, projection_, y);
  backend_.l2_normalise(y);
  return y;
}

// What an earlier call left in the buffers counts for nothing, so that it does not matter which of them are
// swapped when a record is played.
ConstRows Davit::vectors(const SentImages& images) {
  const auto batch = static_cast<int64_t>(images.size());
  const ConstRows x = pixels(images);
  const auto compute = [&] { embed(last_stage(stages_before_last(x))); };
  if (images.size() <= kMostRecorded)
    backend_.repeat(this, batch, compute);
  else
    compute();
  return vectors_.take(batch, projection_.out);
}

void Davit::free_activations() {
  for (Buffer* buffer : {&stream_, &next_, &qkv_, &pixels_, &pooled_, &vectors_}) buffer->free();
}

// [B*H*W, 3], scaled.
ConstRows Davit::pixels(const SentImages& images) {
  const Rows all = pixels_.take(static_cast<int64_t>(images.size()) * config_.height * config_.width, 3);
  backend_.scale_pixels(images, {config_.mean, config_.std}, all);
  return all;
}

// y = conv(norm(x)) where the norm comes first, else y = norm(conv(x)). The reference never applies a norm to
// pixels, even when the configuration asks for it.
void Davit::embed_patches(size_t s, ConstRows x, const TokenGrid& from, Rows y) {
  const Stage& stage = stages_[s];
  const bool prenorm = config_.stages[s].patch_prenorm;
  if (prenorm && s == 0) {
    backend_.patch_conv(x, from, stage.conv, y);
  } else if (prenorm) {
    const Rows normed = qkv_.take(x.rows, x.cols);
    backend_.layer_norm(x, stage.norm, normed);
    backend_.patch_conv(normed, from, stage.conv, y);
  } else {
    const Rows patches = qkv_.take(y.rows, y.cols);
    backend_.patch_conv(x, from, stage.conv, patches);
    backend_.layer_norm(patches, stage.norm, y);
  }
}

void Davit::spatial_block(const Block& block, const StageConfig& config, const TokenGrid& grid,
                          std::string_view name) {
  // x += conv1(x)
  convolve(block.conv1, grid);
  observe(name, ".conv1");
  // x += proj(window_attention(qkv(norm(x))))
  const Rows qkv = qkv_.take(grid.rows(), 3 * config.dim);
  backend_.norm_qkv(x_, block.norm, block.qkv, qkv);
  backend_.window_attention_add(qkv, window_attention(block, config, grid), block.proj, x_);
  observe(name, ".window_attn");
  // x += conv2(x)
  convolve(block.conv2, grid);
  observe(name, ".conv2");
  // x += fc2(gelu(fc1(norm(x))))
  backend_.feed_forward_add(block.feed_forward, x_);
  observe(name, ".ffn");
  observe(name, "");
}

void Davit::channel_block(const Block& block, const StageConfig& config, const TokenGrid& grid,
                          std::string_view name) {
  // x += conv1(x)
  convolve(block.conv1, grid);
  observe(name, ".conv1");
  // x += proj(channel_attention(qkv(norm(x))))
  const Rows qkv = qkv_.take(grid.rows(), 3 * config.dim);
  backend_.norm_qkv(x_, block.norm, block.qkv, qkv);
  backend_.channel_attention_add(qkv, channel_attention(config, grid), block.proj, x_);
  observe(name, ".channel_attn");
  // x += conv2(x)
  convolve(block.conv2, grid);
  observe(name, ".conv2");
  // x += fc2(gelu(fc1(norm(x))))
  backend_.feed_forward_add(block.feed_forward, x_);
  observe(name, ".ffn");
  observe(name, "");
}

// A padding token is zero after the norm, so its q, k and v are the bias.
WindowAttention Davit::window_attention(const Block& block, const StageConfig& config,
                                        const TokenGrid& grid) const {
  return {grid, config.heads, config_.window_size, block.qkv.bias.as_row()};
}

ChannelAttention Davit::channel_attention(const StageConfig& config, const TokenGrid& grid) const {
  const int64_t scaled_over = config_.dynamic_scale ? grid.tokens() : config.dim;
  return {grid, config.groups, 1 / std::sqrt(static_cast<float>(scaled_over))};
}

void Davit::convolve(const std::optional<DepthwiseConv>& conv, const TokenGrid& grid) {
  if (!conv) return;
  const Rows y = next_.take(x_.rows, x_.cols);
  backend_.depthwise_conv_add(x_, grid, *conv, y);
  std::swap(stream_, next_);
  x_ = y;
}

void Davit::observe(std::string_view block, std::string_view part) const {
  if (observer_ != nullptr) (*observer_)(std::string(block) + std::string(part), x_);
}

}  // namespace mii
