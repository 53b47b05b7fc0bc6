#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backend/storage.h"
#include "core/tensor.h"
#include "mii/precision.h"

// The operators that the two towers are made of, each fused as far as all backends benefit.
//
// Glossary: B batch, H W token grid, N = H*W tokens, C channels, R rows (B*N, or all tokens of several
// texts). Activations are float32 and row-major; what a backend uses inside an operator (bf16, say) is up to
// the backend. Where they lie is, too: see storage.h.

namespace mii {

/// How the rows of an image tower's activation are laid out: row (b*height + y)*width + x.
struct TokenGrid {
  int64_t batch = 0;
  int64_t height = 0;
  int64_t width = 0;

  int64_t tokens() const { return height * width; }
  int64_t rows() const { return batch * tokens(); }
};

/// A weight matrix as a checkpoint has it.
struct StoredMatrix {
  enum class Layout { out_in, in_out };

  TensorView values;  ///< [out, in], or [in, out] by its layout
  Layout layout = Layout::out_in;
  /// [out]: a factor on each output, for integers; empty for float types.
  std::span<const float> scales;

  int64_t in() const { return values.shape[layout == Layout::out_in ? 1 : 0]; }
  int64_t out() const { return values.shape[layout == Layout::out_in ? 0 : 1]; }
};

/// A weight matrix in the layout of the backend that packed it.
class PackedMatrix {
 public:
  virtual ~PackedMatrix() = default;
};

/// y = x W^T + b.
struct Linear {
  std::unique_ptr<PackedMatrix> weight;
  Vector bias;  ///< [out], or empty
  int64_t in = 0;
  int64_t out = 0;
};

struct LayerNorm {
  Vector weight;  ///< [C]
  Vector bias;    ///< [C]
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
  Vector weight;  ///< [3, 3, C]
  Vector bias;    ///< [C]
};

/// A matrix whose rows can be had one by one, from a file say.
struct RowTable {
  int64_t rows = 0;
  int64_t cols = 0;
  /// Writes cols numbers. May throw.
  std::function<void(int64_t row, float* to)> read;
};

/// Vectors of tokens and of their places in a text.
struct TokenEmbedding {
  std::unique_ptr<PackedMatrix> tokens;  ///< [vocabulary, C], from pack_table()
  Vector places;                         ///< [context, C]
};

/// One side of a resize by weighted sums of neighbours, in integers: output o is the sum of the samples from
/// first[o] on, times weights[o], and half a unit of the last place kept, shifted right and clipped to a
/// byte.
struct ResizeAxis {
  static constexpr int kWeightBits = 22;  ///< below the point

  int64_t in = 0;   ///< samples
  int64_t out = 0;  ///< outputs
  int64_t taps = 0;
  std::vector<int32_t> first;    ///< [out]
  std::vector<int32_t> weights;  ///< [out, taps]; those of samples past the last do not count
};

/// The bytes of RGB of an image, [height, width, 3], on the host, and how they are resized: first each row to
/// across->out pixels, then each column to down->out. Null: this side has its size.
struct ImageBytes {
  std::span<const uint8_t> rgb;
  std::shared_ptr<const ResizeAxis> across;
  std::shared_ptr<const ResizeAxis> down;
};

/// The bytes of a batch of images, from send_images(), where scale_pixels() reads them.
class SentImages {
 public:
  explicit SentImages(size_t size) : size_(size) {}
  virtual ~SentImages() = default;
  SentImages(const SentImages&) = delete;
  SentImages& operator=(const SentImages&) = delete;

  size_t size() const { return size_; }

 private:
  size_t size_;
};

/// What makes a channel's byte v a number: (v / 255 - mean) / std, in float32 and in this order.
struct PixelScale {
  std::array<float, 3> mean{};
  std::array<float, 3> std{};
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
  /// q, k and v [1, 3C] of a token that pads the grid to a multiple of the window.
  ConstRows padding_qkv;
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

/// Attention of single queries to keys that lie anywhere: those of tokens that were computed earlier, say, or
/// an image's.
struct KeyAttention {
  /// Query r sees the keys rows[offsets[r]] .. rows[offsets[r + 1] - 1], one at least. On the host.
  std::span<const int64_t> offsets;
  std::span<const int64_t> rows;
  int64_t heads = 1;
};

struct BackendOptions {
  Precision precision = Precision::f32;  ///< one that the backend offers
  int threads = 0;                       ///< of a computation; 0 takes every core that this process may use
  int device = 0;                        ///< below the number that the backend has
};

/// Memory of a device, in bytes.
struct DeviceMemory {
  int64_t used = 0;  ///< by this backend
  int64_t total = 0;
};

/// Computes the operators. One computation at a time: a backend owns scratch memory.
/// The caller ensures that shapes fit; they are not checked. Outputs never overlap inputs, except where an
/// operator adds to x.
class Backend {
 public:
  virtual ~Backend() = default;

  /// The backend and the instruction set, for display.
  virtual std::string description() const = 0;
  virtual Precision precision() const = 0;
  virtual int threads() const = 0;

  /// Rows of the first stage's activations in one computation: enough for full-speed products, and little
  /// enough memory.
  virtual int64_t image_rows() const { return kImageRows; }

  /// How many batches of images it pays to have under way: more than one, where the bytes of the next ones go
  /// up while one is computed.
  virtual int batches_at_once() const { return 1; }

  /// Whether the images that are sent may be such as have to be resized.
  virtual bool resizes() const { return false; }

  /// Brings a batch to where scale_pixels() reads it. On the host the bytes stay where they are, and must
  /// live as long as what is returned. Safe to call on any thread while others compute, before
  /// attach_thread() too. On a device few batches have room: this waits until an earlier one is destroyed,
  /// and is not for the thread that computes where others send. Throws Error{out_of_memory} and
  /// Error{device_lost}.
  virtual std::unique_ptr<SentImages> send_images(std::span<const ImageBytes> images) = 0;

  /// Of a backend with a device of its own. Safe to call on any thread.
  virtual std::optional<DeviceMemory> device_memory() const { return std::nullopt; }

  /// Prepares the calling thread: everything below is called on it from now on.
  virtual void attach_thread() = 0;

  /// Calls work, whose operators a device may record. Called with the same owner and size again, it may play
  /// the record instead: then work asks for the same operators, on the same memory unless that was freed, and
  /// moves nothing between host and device.
  virtual void repeat(const void* owner, int64_t size, const std::function<void()>& work) {
    (void)owner, (void)size;
    work();
  }

  /// Gives back the memory that operators have kept for the next ones.
  virtual void free_scratch() {}

  /// Room for so many numbers, not initialised.
  virtual std::unique_ptr<Storage> allocate(int64_t values) = 0;

  /// Copies numbers [rows * cols] to where the backend computes.
  virtual void upload(std::span<const float> from, Rows to) = 0;

  /// Copies numbers back [rows * cols], when all operators before it are done.
  virtual void download(ConstRows from, std::span<float> to) = 0;

  /// Copies numbers that stay.
  Vector store(std::span<const float> values);

  /// The type of the left operands and the weights of a product, where this precision's products of bytes are
  /// not wanted: the fastest float type that the backend has here.
  virtual DType float_operands() const = 0;

  /// Copies a weight matrix into the backend's layout. Its type is the one that the precision's table entry
  /// names; in int8 it may also be f32 or float_operands(), and the product is computed in that.
  virtual std::unique_ptr<PackedMatrix> pack(const StoredMatrix& weight) = 0;

  /// A table of which a few rows are needed at a time. The backend may leave it where it is, and read rows
  /// whenever it computes.
  virtual std::unique_ptr<PackedMatrix> pack_table(RowTable table) = 0;

  /// y = the images' pixels, resized and scaled. All are of one size then; y: [B*H*W, 3].
  virtual void scale_pixels(const SentImages& images, const PixelScale& scale, Rows y) = 0;

  /// y[r] = embedding.tokens[ids[r]] + embedding.places[places[r]]. ids, places: [R], on the host; y: [R, C].
  virtual void embed_tokens(std::span<const int32_t> ids, std::span<const int32_t> places,
                            const TokenEmbedding& embedding, Rows y) = 0;

  /// y[r] = x[which[r]]. which: [y.rows], on the host.
  virtual void gather_rows(ConstRows x, std::span<const int64_t> which, Rows y) = 0;

  /// y = conv(x). x: [B*H*W, C_in] on `grid`; y: [B*H'*W', C_out], H' = (H + 2*padding - size) / stride + 1.
  virtual void patch_conv(ConstRows x, const TokenGrid& grid, const PatchConv& conv, Rows y) = 0;

  /// y = norm(x), row by row.
  virtual void layer_norm(ConstRows x, const LayerNorm& norm, Rows y) = 0;

  /// y = x + conv(x).
  virtual void depthwise_conv_add(ConstRows x, const TokenGrid& grid, const DepthwiseConv& conv, Rows y) = 0;

  /// y = linear(norm(x)).
  virtual void norm_linear(ConstRows x, const LayerNorm& norm, const Linear& linear, Rows y) = 0;

  /// The same, for q|k|v that an attention operator reads next. What lies in y's storage is up to the
  /// backend, and no other operator reads it.
  virtual void norm_qkv(ConstRows x, const LayerNorm& norm, const Linear& linear, Rows y) {
    norm_linear(x, norm, linear, y);
  }

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

  /// x += proj(attention of queries to keys). x: [R, C]. The queries are the first C columns of q [R, >= C];
  /// keys and values are the last 2C of kv, packed k|v; each is [heads, C/heads].
  virtual void key_attention_add(ConstRows q, ConstRows kv, const KeyAttention& attention, const Linear& proj,
                                 Rows x) = 0;

  /// x += fc2(activation(fc1(norm(x)))).
  virtual void feed_forward_add(const FeedForward& feed_forward, Rows x) = 0;

  /// y = mean over each image's tokens. x: [B*N, C], y: [B, C].
  virtual void mean_tokens(ConstRows x, Rows y) = 0;

  /// Divides each row by its L2 norm.
  virtual void l2_normalise(Rows x) = 0;

 protected:
  static constexpr int64_t kImageRows = 16384;
};

/// Room for a matrix that each computation makes anew: it grows and is used again.
class Buffer {
 public:
  explicit Buffer(Backend& backend) : backend_(&backend) {}

  /// The matrix; what was in the buffer is lost.
  Rows take(int64_t rows, int64_t cols);
  void free();

 private:
  Backend* backend_;
  std::unique_ptr<Storage> storage_;
  int64_t values_ = 0;
};

/// Rows of patch_conv's result along one side.
inline int64_t patches_along(int64_t side, const PatchConv& conv) {
  return (side + 2 * conv.padding - conv.size) / conv.stride + 1;
}

}  // namespace mii
