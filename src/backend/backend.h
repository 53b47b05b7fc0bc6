#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/tensor.h"

// The operators that the two towers are made of, each fused as far as every backend can profit from it.
//
// Glossary: B batch, H W token grid, N = H*W tokens, C channels, R rows (B*N, or all tokens of several
// texts). Activations are float32 and row-major; what a backend uses inside an operator (bf16, say) is its
// own affair.

namespace mii {

/// A borrowed float32 matrix [rows, cols], row-major, dense.
struct Rows {
  float* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;

  float* row(int64_t i) const { return data + i * cols; }
  int64_t elements() const { return rows * cols; }
};

struct ConstRows {
  const float* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;

  ConstRows() = default;
  ConstRows(const float* d, int64_t r, int64_t c) : data(d), rows(r), cols(c) {}
  ConstRows(const Rows& other)
      : data(other.data), rows(other.rows), cols(other.cols) {}  // NOLINT: a view of a view

  const float* row(int64_t i) const { return data + i * cols; }
  int64_t elements() const { return rows * cols; }
};

/// How the rows of an image tower's activation are laid out: row (b*height + y)*width + x.
struct TokenGrid {
  int64_t batch = 0;
  int64_t height = 0;
  int64_t width = 0;

  int64_t tokens() const { return height * width; }
  int64_t rows() const { return batch * tokens(); }
};

/// A weight matrix in the layout of the backend that packed it.
class PackedMatrix {
 public:
  virtual ~PackedMatrix() = default;
};

/// y = x W^T + b.
struct Linear {
  std::unique_ptr<PackedMatrix> weight;
  std::vector<float> bias;  ///< [out], or empty
  int64_t in = 0;
  int64_t out = 0;
};

struct LayerNorm {
  std::vector<float> weight;  ///< [C]
  std::vector<float> bias;    ///< [C]
  float epsilon = 0;
};

/// A convolution of size x size that cuts patches: a Linear over [size, size, C_in] values.
struct PatchConv {
  Linear linear;
  int64_t size = 0;
  int64_t stride = 0;
  int64_t padding = 0;
};

/// One 3x3 kernel a channel, padding 1.
struct DepthwiseConv {
  std::vector<float> weight;  ///< [3, 3, C]
  std::vector<float> bias;    ///< [C]
};

enum class Activation {
  gelu,        ///< x * (1 + erf(x / sqrt(2))) / 2
  quick_gelu,  ///< x * sigmoid(1.702 x)
};

struct FeedForward {
  LayerNorm norm;
  Linear fc1;
  Linear fc2;
  Activation activation = Activation::gelu;
};

struct WindowAttention {
  TokenGrid grid;
  int64_t heads = 1;
  int64_t window = 0;
  /// q, k and v [3C] of a token that pads the grid to a multiple of the window.
  std::span<const float> padding_qkv;
};

struct ChannelAttention {
  TokenGrid grid;
  int64_t groups = 1;
  float scale = 0;  ///< on the queries
};

struct TextAttention {
  /// Text t owns rows offsets[t] .. offsets[t + 1]; offsets.back() is the number of rows.
  std::span<const int64_t> offsets;
  int64_t heads = 1;
  bool causal = false;
};

/// Computes the operators. One computation at a time: a backend owns scratch memory.
/// Shapes are the caller's business and are not checked. Outputs never overlap inputs but where an operator
/// adds to x.
class Backend {
 public:
  virtual ~Backend() = default;

  /// What it is and on what it runs, for people.
  virtual std::string description() const = 0;

  /// The type in which pack() takes weights: f32 or bf16.
  virtual DType weight_dtype() const = 0;

  /// Copies a weight matrix [out, in] (or [in, out] when so stored) of weight_dtype() into the backend's
  /// layout.
  enum class WeightLayout { out_in, in_out };
  virtual std::unique_ptr<PackedMatrix> pack(const TensorView& weight, WeightLayout layout) = 0;

  /// y = conv(x). x: [B*H*W, C_in] on `grid`; y: [B*H'*W', C_out], H' = (H + 2*padding - size) / stride + 1.
  virtual void patch_conv(ConstRows x, const TokenGrid& grid, const PatchConv& conv, Rows y) = 0;

  /// y = norm(x), row by row.
  virtual void layer_norm(ConstRows x, const LayerNorm& norm, Rows y) = 0;

  /// y = x + conv(x).
  virtual void depthwise_conv_add(ConstRows x, const TokenGrid& grid, const DepthwiseConv& conv, Rows y) = 0;

  /// y = linear(norm(x)).
  virtual void norm_linear(ConstRows x, const LayerNorm& norm, const Linear& linear, Rows y) = 0;

  /// x += proj(attention within each window). qkv: [R, 3C], packed q|k|v, each [heads, C/heads].
  /// Tokens that pad the last windows take part as keys and values.
  virtual void window_attention_add(ConstRows qkv, const WindowAttention& attention, const Linear& proj,
                                    Rows x) = 0;

  /// x += proj(attention between the channels of each group). qkv: [R, 3C], packed q|k|v, each [groups, d =
  /// C/groups]. Per image and group: A = softmax_rows((scale * q)^T k) [d, d], out = v A^T.
  virtual void channel_attention_add(ConstRows qkv, const ChannelAttention& attention, const Linear& proj,
                                     Rows x) = 0;

  /// x += proj(attention within each text). qkv: [R, 3C] as in window_attention_add.
  virtual void text_attention_add(ConstRows qkv, const TextAttention& attention, const Linear& proj,
                                  Rows x) = 0;

  /// x += fc2(activation(fc1(norm(x)))).
  virtual void feed_forward_add(const FeedForward& feed_forward, Rows x) = 0;

  /// y = mean over each image's tokens. x: [B*N, C], y: [B, C].
  virtual void mean_tokens(ConstRows x, Rows y) = 0;

  /// Divides each row by its L2 norm.
  virtual void l2_normalise(Rows x) = 0;
};

/// Rows of patch_conv's result along one side.
inline int64_t patches_along(int64_t side, const PatchConv& conv) {
  return (side + 2 * conv.padding - conv.size) / conv.stride + 1;
}

}  // namespace mii
