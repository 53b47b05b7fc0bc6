#include "model/davit_gradient.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "model/backward.h"

namespace mii {
namespace {

// A product alone: a convolution of patches of one token.
PatchConv alone(Linear linear) { return {.linear = std::move(linear), .size = 1, .stride = 1, .padding = 0}; }

void add_to(const Matrix& x, Matrix& y) {
  std::ranges::transform(x.values(), y.values(), y.values().begin(), std::plus{});
}

}  // namespace

DavitGradient::DavitGradient(Davit& tower, const WeightReader& weights, Backend& backend)
    : tower_(tower), backend_(backend), entering_(backend), normed_(backend), in_(backend), out_(backend) {
  const std::string stage = std::to_string(tower.stages_.size() - 1);
  const std::vector<Davit::BlockPair>& forward = tower.stages_.back().blocks;
  for (size_t b = 0; b < forward.size(); ++b) {
    const std::string pair = "image_encoder.blocks." + stage + "." + std::to_string(b);
    const std::string spatial = pair + ".spatial_block", channel = pair + ".channel_block";
    blocks_.push_back(
        {.spatial = read_block(weights, forward[b].spatial, spatial + ".window_attn.fn", spatial + ".ffn"),
         .channel = read_block(weights, forward[b].channel, channel + ".channel_attn.fn", channel + ".ffn")});
  }
  patches_ = alone(weights.patch_conv_backward("image_encoder.convs." + stage + ".proj"));
  projection_ = alone(weights.projection_backward("image_projection"));
}

DavitGradient::Block DavitGradient::read_block(const WeightReader& weights, const Davit::Block& forward,
                                               const std::string& attention, const std::string& ffn) const {
  return {.qkv = alone(weights.linear_backward(attention + ".qkv")),
          .proj = alone(weights.linear_backward(attention + ".proj")),
          .fc1 = alone(weights.linear_backward(ffn + ".fn.net.fc1")),
          .fc2 = alone(weights.linear_backward(ffn + ".fn.net.fc2")),
          .conv1 = mirrored(forward.conv1),
          .conv2 = mirrored(forward.conv2)};
}

// What a token gives to its neighbour on the left, the gradient of that one gives back from the right.
std::optional<DepthwiseConv> DavitGradient::mirrored(const std::optional<DepthwiseConv>& conv) const {
  if (!conv) return {};
  const std::vector<float> weight = downloaded(conv->weight);
  const size_t channels = weight.size() / 9;
  std::vector<float> turned(weight.size());
  for (size_t tap = 0; tap < 9; ++tap)
    std::ranges::copy(std::span(weight).subspan((8 - tap) * channels, channels),
                      turned.begin() + static_cast<std::ptrdiff_t>(tap * channels));
  return DepthwiseConv{backend_.store(turned), backend_.store(std::vector<float>(channels))};
}

DavitGradient::Result DavitGradient::gradients(const Matrix& entering, const Matrix& directions) {
  inputs_.clear();
  const Rows on_device = uploaded(entering, entering_);
  const ConstRows tokens = tower_.last_stage(on_device, [this](std::string_view module, ConstRows x) {
    if (module.ends_with(".conv1") || module.ends_with(".conv2")) inputs_.push_back(downloaded(x));
  });
  Start start = back_from_scores(tokens, directions);
  for (size_t b = blocks_.size(); b-- > 0;) {
    const Davit::BlockPair& forward = tower_.stages_.back().blocks[b];
    back_through(forward.channel, blocks_[b].channel, false, start.gradients);
    back_through(forward.spatial, blocks_[b].spatial, true, start.gradients);
  }
  const ConstRows cut_from = patch_inputs(on_device);
  Result result{downloaded(cut_from), back_through_patches(cut_from, std::move(start.gradients))};
  for (float& v : result.gradients.values()) v *= start.factor;
  return result;
}

// With z the vector before it is normalised and u after it: the gradient of z is (t - (u t) u) / |z|. Each of
// N tokens has the N-th part of the mean's.
DavitGradient::Start DavitGradient::back_from_scores(ConstRows tokens, const Matrix& directions) {
  const Rows mean = in_.take(1, tokens.cols);
  backend_.mean_tokens(tokens, mean);
  const Matrix pooled = downloaded(mean);
  const Matrix z = norm_linear(pooled, tower_.norm_, tower_.projection_);
  const std::span<const float> v = z.row(0);
  const double square = std::inner_product(v.begin(), v.end(), v.begin(), 0.0);

  Matrix of_z = directions.clone();
  for (size_t k = 0; k < of_z.rows(); ++k) {
    const std::span<float> row = of_z.row(k);
    const double along = std::inner_product(v.begin(), v.end(), row.begin(), 0.0) / square;
    for (size_t d = 0; d < row.size(); ++d) row[d] = static_cast<float>(row[d] - along * v[d]);
  }
  Matrix of_mean = product(of_z, projection_);
  norm_backward(pooled, tower_.norm_, of_mean);

  const auto n = static_cast<size_t>(tokens.rows);
  Matrix gradients(directions.rows() * n, of_mean.cols());
  for (size_t row = 0; row < gradients.rows(); ++row)
    std::ranges::copy(of_mean.row(row / n), gradients.row(row).begin());
  return {std::move(gradients), static_cast<float>(1 / (std::sqrt(square) * static_cast<double>(n)))};
}

void DavitGradient::back_through(const Davit::Block& forward, const Block& block, bool spatial,
                                 Matrix& gradients) {
  back_through_feed_forward(forward.feed_forward, block, gradients);
  back_through_conv(block.conv2, gradients);
  back_through_attention(forward, block, spatial, gradients);
  back_through_conv(block.conv1, gradients);
}

void DavitGradient::back_through_feed_forward(const FeedForward& forward, const Block& block,
                                              Matrix& gradients) {
  const Matrix x = std::move(inputs_.back());
  inputs_.pop_back();
  Matrix hidden = product(gradients, block.fc2);
  gelu_backward(norm_linear(x, forward.norm, forward.fc1), hidden);
  Matrix branch = product(hidden, block.fc1);
  norm_backward(x, forward.norm, branch);
  add_to(branch, gradients);
}

void DavitGradient::back_through_attention(const Davit::Block& forward, const Block& block, bool spatial,
                                           Matrix& gradients) {
  const Matrix x = std::move(inputs_.back());
  inputs_.pop_back();
  const Matrix qkv = norm_linear(x, forward.norm, forward.qkv);
  Matrix branch =
      product(attention_backward(forward, spatial, qkv, product(gradients, block.proj)), block.qkv);
  norm_backward(x, forward.norm, branch);
  add_to(branch, gradients);
}

Matrix DavitGradient::attention_backward(const Davit::Block& forward, bool spatial, const Matrix& qkv,
                                         const Matrix& gradients) const {
  const StageConfig& config = tower_.config_.stages.back();
  const Grid side = tower_.last_grid();
  const TokenGrid grid{1, side.height, side.width};
  if (!spatial) return channel_attention_backward(qkv, tower_.channel_attention(config, grid), gradients);
  return window_attention_backward(qkv, downloaded(forward.qkv.bias),
                                   tower_.window_attention(forward, config, grid), gradients);
}

void DavitGradient::back_through_conv(const std::optional<DepthwiseConv>& conv, Matrix& gradients) {
  if (!conv) return;
  const Grid side = tower_.last_grid();
  const Rows x = uploaded(gradients, in_);
  const Rows y = out_.take(x.rows, x.cols);
  backend_.depthwise_conv_add(x, {x.rows / side.tokens(), side.height, side.width}, *conv, y);
  backend_.download(y, gradients.values());
}

ConstRows DavitGradient::patch_inputs(ConstRows entering) {
  if (!tower_.config_.stages.back().patch_prenorm) return entering;
  const Rows normed = normed_.take(entering.rows, entering.cols);
  backend_.layer_norm(entering, tower_.stages_.back().norm, normed);
  return normed;
}

Matrix DavitGradient::back_through_patches(ConstRows inputs, Matrix gradients) {
  const Davit::Stage& stage = tower_.stages_.back();
  const Grid side = tower_.entering_grid();
  const TokenGrid grid{1, side.height, side.width};
  if (!tower_.config_.stages.back().patch_prenorm) {
    const Rows patches = out_.take(tower_.last_grid().tokens(), tower_.channels());
    backend_.patch_conv(inputs, grid, stage.conv, patches);
    norm_backward(downloaded(patches), stage.norm, gradients);
  }
  return add_up_patches(product(gradients, patches_), grid, stage.conv);
}

void DavitGradient::norm_backward(const Matrix& x, const LayerNorm& norm, Matrix& gradients) const {
  layer_norm_backward(x, downloaded(norm.weight), norm.epsilon, gradients);
}

Matrix DavitGradient::product(const Matrix& x, const PatchConv& matrix) {
  const Rows from = uploaded(x, in_);
  const Rows to = out_.take(from.rows, matrix.linear.out);
  backend_.patch_conv(from, {from.rows, 1, 1}, matrix, to);
  return downloaded(to);
}

Matrix DavitGradient::norm_linear(const Matrix& x, const LayerNorm& norm, const Linear& linear) {
  const Rows from = uploaded(x, in_);
  const Rows to = out_.take(from.rows, linear.out);
  backend_.norm_linear(from, norm, linear, to);
  return downloaded(to);
}

Rows DavitGradient::uploaded(const Matrix& x, Buffer& buffer) const {
  const Rows to = buffer.take(static_cast<int64_t>(x.rows()), static_cast<int64_t>(x.cols()));
  backend_.upload(x.values(), to);
  return to;
}

Matrix DavitGradient::downloaded(ConstRows x) const {
  Matrix to(static_cast<size_t>(x.rows), static_cast<size_t>(x.cols));
  backend_.download(x, to.values());
  return to;
}

std::vector<float> DavitGradient::downloaded(const Vector& x) const {
  std::vector<float> to(static_cast<size_t>(x.size));
  backend_.download(x.as_row(), to);
  return to;
}

}  // namespace mii
