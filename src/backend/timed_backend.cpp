#include "backend/timed_backend.h"

#include <chrono>

#include "backend/product_shape.h"

namespace mii {
namespace {

using Clock = std::chrono::steady_clock;

template <typename Call>
void timed(OperatorTime& entry, const Call& call) {
  const auto start = Clock::now();
  call();
  entry.seconds += std::chrono::duration<double>(Clock::now() - start).count();
  ++entry.calls;
}

double operations(const Linear& linear, int64_t rows) {
  return ProductShape{rows, linear.in, linear.out}.operations();
}

}  // namespace

OperatorTime& TimedBackend::entry(const std::string& name, ConstRows x) {
  return operators_[name + " " + std::to_string(x.rows) + " x " + std::to_string(x.cols)];
}

void TimedBackend::scale_pixels(const SentImages& images, const PixelScale& scale, Rows y) {
  timed(entry("scale_pixels", y), [&] { timed_->scale_pixels(images, scale, y); });
}

void TimedBackend::embed_tokens(std::span<const int32_t> ids, std::span<const int32_t> places,
                                const TokenEmbedding& embedding, Rows y) {
  timed(entry("embed_tokens", y), [&] { timed_->embed_tokens(ids, places, embedding, y); });
}

void TimedBackend::gather_rows(ConstRows x, std::span<const int64_t> which, Rows y) {
  timed(entry("gather_rows", y), [&] { timed_->gather_rows(x, which, y); });
}

void TimedBackend::patch_conv(ConstRows x, const TokenGrid& grid, const PatchConv& conv, Rows y) {
  OperatorTime& time = entry("patch_conv", y);
  timed(time, [&] { timed_->patch_conv(x, grid, conv, y); });
  time.operations += operations(conv.linear, y.rows);
}

void TimedBackend::layer_norm(ConstRows x, const LayerNorm& norm, Rows y) {
  timed(entry("layer_norm", y), [&] { timed_->layer_norm(x, norm, y); });
}

void TimedBackend::depthwise_conv_add(ConstRows x, const TokenGrid& grid, const DepthwiseConv& conv, Rows y) {
  timed(entry("depthwise_conv", y), [&] { timed_->depthwise_conv_add(x, grid, conv, y); });
}

void TimedBackend::norm_linear(ConstRows x, const LayerNorm& norm, const Linear& linear, Rows y) {
  OperatorTime& time = entry("norm_linear", y);
  timed(time, [&] { timed_->norm_linear(x, norm, linear, y); });
  time.operations += operations(linear, x.rows);
}

void TimedBackend::norm_qkv(ConstRows x, const LayerNorm& norm, const Linear& linear, Rows y) {
  OperatorTime& time = entry("norm_qkv", y);
  timed(time, [&] { timed_->norm_qkv(x, norm, linear, y); });
  time.operations += operations(linear, x.rows);
}

void TimedBackend::window_attention_add(ConstRows qkv, const WindowAttention& attention, const Linear& proj,
                                        Rows x) {
  OperatorTime& time = entry("window_attention", x);
  timed(time, [&] { timed_->window_attention_add(qkv, attention, proj, x); });
  time.operations += operations(proj, x.rows);
}

void TimedBackend::channel_attention_add(ConstRows qkv, const ChannelAttention& attention, const Linear& proj,
                                         Rows x) {
  OperatorTime& time = entry("channel_attention", x);
  timed(time, [&] { timed_->channel_attention_add(qkv, attention, proj, x); });
  time.operations += operations(proj, x.rows);
}

void TimedBackend::text_attention_add(ConstRows qkv, const TextAttention& attention, const Linear& proj,
                                      Rows x) {
  OperatorTime& time = entry("text_attention", x);
  timed(time, [&] { timed_->text_attention_add(qkv, attention, proj, x); });
  time.operations += operations(proj, x.rows);
}

void TimedBackend::key_attention_add(ConstRows q, ConstRows kv, const KeyAttention& attention,
                                     const Linear& proj, Rows x) {
  OperatorTime& time = entry("key_attention", x);
  timed(time, [&] { timed_->key_attention_add(q, kv, attention, proj, x); });
  time.operations += operations(proj, x.rows);
}

void TimedBackend::feed_forward_add(const FeedForward& feed_forward, Rows x) {
  OperatorTime& time = entry("feed_forward", x);
  timed(time, [&] { timed_->feed_forward_add(feed_forward, x); });
  time.operations += operations(feed_forward.fc1, x.rows);
  time.operations += operations(feed_forward.fc2, x.rows);
}

void TimedBackend::mean_tokens(ConstRows x, Rows y) {
  timed(entry("mean_tokens", x), [&] { timed_->mean_tokens(x, y); });
}

void TimedBackend::l2_normalise(Rows x) {
  timed(entry("l2_normalise", x), [&] { timed_->l2_normalise(x); });
}

}  // namespace mii
