#pragma once

#include <optional>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "mii/matrix.h"
#include "model/davit.h"
#include "model/weight_reader.h"
#include "weights/config.h"

namespace mii {

/// The backward pass of the image tower's last stage. A score is the dot product of an image's unit vector
/// and a direction; its gradient says how it changes with what the stage's patches are cut from: the tokens
/// that enter it, after the norm where that comes first. Of tokens before a norm nothing could be weighed by
/// gradients: it takes no notice of their size. The products run on the backend, the rest on the host.
class DavitGradient {
 public:
  /// Packs the stage's matrices once more, for products the other way. The tower must outlive this.
  DavitGradient(Davit& tower, const WeightReader& weights, Backend& backend);

  struct Result {
    Matrix inputs;     ///< [N, C]: what the patches are cut from
    Matrix gradients;  ///< [K*N, C], direction by direction
  };

  /// Computes the stage forwards and backwards. entering: [N, C], of one image; directions: [K, D].
  Result gradients(const Matrix& entering, const Matrix& directions);

 private:
  /// The matrices of a block, each from gradients of outputs to those of inputs, and its convolutions
  /// mirrored.
  struct Block {
    PatchConv qkv, proj, fc1, fc2;
    std::optional<DepthwiseConv> conv1, conv2;
  };
  struct BlockPair {
    Block spatial, channel;
  };

  Block read_block(const WeightReader& weights, const Davit::Block& forward, const std::string& attention,
                   const std::string& ffn) const;
  std::optional<DepthwiseConv> mirrored(const std::optional<DepthwiseConv>& conv) const;

  /// Of what leaves the stage, and a factor on it that is left for the end: without it the numbers are near
  /// one, and none is too small for float16.
  struct Start {
    Matrix gradients;
    float factor = 1;
  };

  Start back_from_scores(ConstRows tokens, const Matrix& directions);
  void back_through(const Davit::Block& forward, const Block& block, bool spatial, Matrix& gradients);
  void back_through_feed_forward(const FeedForward& forward, const Block& block, Matrix& gradients);
  void back_through_attention(const Davit::Block& forward, const Block& block, bool spatial,
                              Matrix& gradients);
  void back_through_conv(const std::optional<DepthwiseConv>& conv, Matrix& gradients);
  ConstRows patch_inputs(ConstRows entering);
  Matrix back_through_patches(ConstRows inputs, Matrix gradients);

  Matrix attention_backward(const Davit::Block& forward, bool spatial, const Matrix& qkv,
                            const Matrix& gradients) const;
  void norm_backward(const Matrix& x, const LayerNorm& norm, Matrix& gradients) const;
  Matrix product(const Matrix& x, const PatchConv& matrix);
  Matrix norm_linear(const Matrix& x, const LayerNorm& norm, const Linear& linear);

  Rows uploaded(const Matrix& x, Buffer& buffer) const;
  Matrix downloaded(ConstRows x) const;
  std::vector<float> downloaded(const Vector& x) const;

  Davit& tower_;
  Backend& backend_;
  std::vector<BlockPair> blocks_;
  PatchConv patches_;
  PatchConv projection_;

  std::vector<Matrix> inputs_;  // of the attentions and feed-forwards, in their order
  Buffer entering_;
  Buffer normed_;
  Buffer in_;
  Buffer out_;
};

}  // namespace mii
