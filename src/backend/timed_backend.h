#pragma once

#include <map>
#include <memory>
#include <string>

#include "backend/backend.h"

namespace mii {

/// What an operator took, over all calls with operands of one size.
struct OperatorTime {
  int64_t calls = 0;
  double seconds = 0;
  double operations = 0;  ///< of its products with weights
};

/// Another backend, with a clock: it hands every operator on, and notes how long it took.
class TimedBackend final : public Backend {
 public:
  explicit TimedBackend(std::unique_ptr<Backend> timed) : timed_(std::move(timed)) {}

  /// By operator, rows and columns: "feed_forward 900 x 1024". Of a device whose operators go on by
  /// themselves, the time that starting them takes.
  const std::map<std::string, OperatorTime>& operators() const { return operators_; }
  void reset() { operators_.clear(); }

  std::string description() const override { return timed_->description(); }
  Precision precision() const override { return timed_->precision(); }
  int threads() const override { return timed_->threads(); }
  void attach_thread() override { timed_->attach_thread(); }
  std::optional<DeviceMemory> device_memory() const override { return timed_->device_memory(); }
  int64_t image_rows() const override { return timed_->image_rows(); }
  int batches_at_once() const override { return timed_->batches_at_once(); }
  bool resizes() const override { return timed_->resizes(); }
  std::unique_ptr<SentImages> send_images(std::span<const ImageBytes> images) override {
    return timed_->send_images(images);
  }
  void free_scratch() override { timed_->free_scratch(); }
  DType float_operands() const override { return timed_->float_operands(); }
  std::unique_ptr<Storage> allocate(int64_t values) override { return timed_->allocate(values); }
  void upload(std::span<const float> from, Rows to) override { timed_->upload(from, to); }
  void download(ConstRows from, std::span<float> to) override { timed_->download(from, to); }
  std::unique_ptr<PackedMatrix> pack(const StoredMatrix& weight) override { return timed_->pack(weight); }
  std::unique_ptr<PackedMatrix> pack_table(RowTable table) override {
    return timed_->pack_table(std::move(table));
  }

  void scale_pixels(const SentImages& images, const PixelScale& scale, Rows y) override;
  void embed_tokens(std::span<const int32_t> ids, std::span<const int32_t> places,
                    const TokenEmbedding& embedding, Rows y) override;
  void gather_rows(ConstRows x, std::span<const int64_t> which, Rows y) override;
  void patch_conv(ConstRows x, const TokenGrid& grid, const PatchConv& conv, Rows y) override;
  void layer_norm(ConstRows x, const LayerNorm& norm, Rows y) override;
  void depthwise_conv_add(ConstRows x, const TokenGrid& grid, const DepthwiseConv& conv, Rows y) override;
  void norm_linear(ConstRows x, const LayerNorm& norm, const Linear& linear, Rows y) override;
  void norm_qkv(ConstRows x, const LayerNorm& norm, const Linear& linear, Rows y) override;
  void window_attention_add(ConstRows qkv, const WindowAttention& attention, const Linear& proj,
                            Rows x) override;
  void channel_attention_add(ConstRows qkv, const ChannelAttention& attention, const Linear& proj,
                             Rows x) override;
  void text_attention_add(ConstRows qkv, const TextAttention& attention, const Linear& proj, Rows x) override;
  void key_attention_add(ConstRows q, ConstRows kv, const KeyAttention& attention, const Linear& proj,
                         Rows x) override;
  void feed_forward_add(const FeedForward& feed_forward, Rows x) override;
  void mean_tokens(ConstRows x, Rows y) override;
  void l2_normalise(Rows x) override;

 private:
  OperatorTime& entry(const std::string& name, ConstRows x);

  std::unique_ptr<Backend> timed_;
  std::map<std::string, OperatorTime> operators_;
};

}  // namespace mii
