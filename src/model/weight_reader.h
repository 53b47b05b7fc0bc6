#pragma once

#include <string>
#include <vector>

#include "backend/backend.h"
#include "weights/checkpoint.h"

namespace mii {

/// Reads a checkpoint's tensors, by their published names, into the forms that the operators take.
/// Each tensor's memory is given back once it is copied, so that the peak is one copy and not two. Every
/// method throws Error{corrupt_weights} when a value is not finite.
class WeightReader {
 public:
  WeightReader(const Checkpoint& checkpoint, Backend& backend) : checkpoint_(checkpoint), backend_(backend) {}

  float scalar(const std::string& name) const;
  std::vector<float> vector(const std::string& name) const;
  /// The same, in the backend's hands.
  Vector stored(const std::string& name) const;

  /// `prefix`.weight [out, in] and `prefix`.bias [out].
  Linear linear(const std::string& prefix) const;
  /// The same, from two names without a common prefix.
  Linear linear(const std::string& weight, const std::string& bias) const;
  /// A projection stored as [in, out], without a bias.
  Linear projection(const std::string& name) const;
  /// `prefix`.weight and `prefix`.bias [C].
  LayerNorm layer_norm(const std::string& prefix, float epsilon) const;
  /// `prefix`.weight [out, in, size, size] and `prefix`.bias [out].
  PatchConv patch_conv(const std::string& prefix, int64_t stride, int64_t padding) const;
  /// `prefix`.weight [C, 1, 3, 3] and `prefix`.bias [C].
  DepthwiseConv depthwise_conv(const std::string& prefix) const;
  /// `tokens` [vocabulary, C], which may stay in the mapped file, and `places` [context, C].
  TokenEmbedding token_embedding(const std::string& tokens, const std::string& places) const;

 private:
  std::unique_ptr<PackedMatrix> pack(const TensorView& matrix, const std::string& name,
                                     StoredMatrix::Layout layout) const;

  const Checkpoint& checkpoint_;
  Backend& backend_;
};

}  // namespace mii
