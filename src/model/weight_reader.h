#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "backend/backend.h"
#include "weights/checkpoint.h"

namespace mii {

/// Reads a checkpoint's tensors, by their published names, into the forms that the operators take.
/// Each tensor's memory is given back once it is copied, so that the peak is one copy and not two. Every
/// method throws Error{corrupt_weights} when a value is not finite.
class WeightReader {
 public:
  /// Whether int8 computes with this matrix in floats after all.
  using KeepFloat = std::function<bool(const std::string& name)>;

  /// keep_float: empty to ask the checkpoint.
  WeightReader(const Checkpoint& checkpoint, Backend& backend, KeepFloat keep_float = {})
      : checkpoint_(checkpoint), backend_(backend), keep_float_(std::move(keep_float)) {}
  ~WeightReader() { checkpoint_.free_room(); }
  WeightReader(const WeightReader&) = delete;
  WeightReader& operator=(const WeightReader&) = delete;

  float scalar(const std::string& name) const;
  std::vector<float> vector(const std::string& name) const;
  /// The same, in the backend's hands.
  Vector stored(const std::string& name) const;

  /// `prefix`.weight [out, in] and `prefix`.bias [out].
  Linear linear(const std::string& prefix) const;
  /// The same, from two names without a common prefix.
  Linear linear(const std::string& weight, const std::string& bias) const;
  /// A matrix [out, in], without a bias.
  Linear linear_without_bias(const std::string& name) const;
  /// A projection stored as [in, out], without a bias.
  Linear projection(const std::string& name) const;
  // The same products the other way, as gradients of outputs become those of inputs: y = x W of
  // `prefix`.weight [out, in], of a projection, of patch_conv.
  Linear linear_backward(const std::string& prefix) const;
  Linear projection_backward(const std::string& name) const;
  Linear patch_conv_backward(const std::string& prefix) const;
  /// `prefix`.weight and `prefix`.bias [C].
  LayerNorm layer_norm(const std::string& prefix, float epsilon) const;
  /// `prefix`.weight [out, in, size, size] and `prefix`.bias [out].
  PatchConv patch_conv(const std::string& prefix, int64_t stride, int64_t padding) const;
  /// `prefix`.weight [C, 1, 3, 3] and `prefix`.bias [C].
  DepthwiseConv depthwise_conv(const std::string& prefix) const;
  /// `tokens` [vocabulary, C], which may stay in the mapped file, and `places` [context, C].
  TokenEmbedding token_embedding(const std::string& tokens, const std::string& places) const;

 private:
  /// The type of this matrix's operands in the backend's precision.
  DType operands(const TensorSpec& matrix) const;
  std::unique_ptr<PackedMatrix> pack(const std::string& name, StoredMatrix::Layout layout) const;
  /// Of a convolution's weights [out, in, height, width].
  std::unique_ptr<PackedMatrix> pack_channels_last(const std::string& name, const Shape& shape) const;
  /// values: [out, in], or [in, out] by the layout, of the tensor of this name; in int8 the first.
  std::unique_ptr<PackedMatrix> pack_floats(const std::string& name, const std::vector<float>& values,
                                            const Shape& shape, DType dtype,
                                            StoredMatrix::Layout layout = StoredMatrix::Layout::out_in) const;

  const Checkpoint& checkpoint_;
  Backend& backend_;
  KeepFloat keep_float_;
};

}  // namespace mii
