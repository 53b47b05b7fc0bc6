#pragma once

#include <cstdint>

#include "backend/backend.h"
#include "backend/cuda/device.h"
#include "backend/cuda/places.h"

// The kernels, as functions that put work into a device's stream. All pointers are into its memory.
//
// An operand is the left side of a product: [rows, cols] of the precision's type T, each row filled up with
// zeros to a multiple of 16 values, and with room for a multiple of 16 rows.

namespace mii::cuda {

/// Type of the operands of products. f8 is of products alone, with a factor on each row.
enum class Operand { f32, bf16, f16, f8 };
inline int64_t size_of(Operand type) { return type == Operand::f32 ? 4 : type == Operand::f8 ? 1 : 2; }

/// Values of any type but f8.
struct Values {
  const void* data = nullptr;
  Operand type = Operand::f32;
};

/// y[i] = (rgb[i] / 255 - mean) / std.
void scale_pixels(Device& device, const uint8_t* rgb, int64_t pixels, const PixelScale& scale, float* y);

/// One side of a resize: see ResizeAxis.
struct DeviceAxis {
  int64_t in = 0;
  int64_t out = 0;
  int64_t taps = 0;
  const int32_t* first = nullptr;
  const int32_t* weights = nullptr;
};
/// y [lines, axis.out, inner] of x [lines, axis.in, inner]: of an image's rows, inner is 3; of its columns,
/// all of a row's bytes.
struct Resizing {
  const uint8_t* x;
  int64_t lines;
  int64_t inner;
  DeviceAxis axis;
};
void resize(Device& device, const Resizing& resizing, uint8_t* y);

/// y[r] += places[which[r]].
void add_places(Device& device, const int32_t* which, int64_t rows, int64_t cols, const float* places,
                float* y);

/// y[r] = x[which[r]].
void gather_rows(Device& device, const float* x, const int64_t* which, int64_t rows, int64_t cols, float* y);

/// Converts, row by row: x [rows, cols] to an operand whose rows are y_stride values apart.
void convert(Device& device, const float* x, int64_t rows, int64_t cols, Operand type, void* y,
             int64_t y_stride);

/// Patches first .. first + rows of x as an operand.
struct Patches {
  const float* x;
  int64_t channels;
  PatchPlaces places;
  int64_t first;
  int64_t rows;
};
void cut_patches(Device& device, const Patches& patches, Operand type, void* y);

struct NormRows {
  const float* x;  ///< [rows, channels]
  int64_t rows;
  int64_t channels;
  const float* weight;
  const float* bias;
  float epsilon;
};
/// As an operand, or dense as float32 (y_stride = channels).
void layer_norm(Device& device, const NormRows& norm, Operand type, void* y, int64_t y_stride);

/// y = x + conv(x), 3 x 3.
struct Depthwise {
  const float* x;
  TokenGrid grid;
  int64_t channels;
  const float* weight;  ///< [3, 3, channels]
  const float* bias;
};
void depthwise_conv_add(Device& device, const Depthwise& conv, float* y);

/// In place: values of an operand become gelu or quick_gelu of them.
void activate(Device& device, Activation activation, Operand type, void* values, int64_t n);

/// Room for lists of so many keys, with as many warps as fit into a block's shared memory.
AttentionRoom attention_room(const Device& device, int64_t keys, int64_t dim, Operand type);

/// Attention within lists of tokens: windows of a grid, or texts.
struct Attention {
  Values qkv;  ///< [rows, 3 * heads * dim]
  int64_t lists;
  int64_t heads;
  int64_t dim;
  bool causal;
  const float* padding_qkv;  ///< [3 * heads * dim], for windows
  AttentionRoom room;
};
/// y: an operand [rows, heads * dim]. Throws Error{unsupported} where a list is too long for a block of
/// threads.
void attend(Device& device, const Attention& attention, const WindowLists& lists, Operand type, void* y);
void attend(Device& device, const Attention& attention, const TextLists& lists, Operand type, void* y);

/// Attention of single queries to keys that lie anywhere.
struct QueriesToKeys {
  const float* q;  ///< [queries, q_cols], of which the first heads * dim
  int64_t queries;
  int64_t q_cols;
  const float* kv;  ///< rows of kv_cols, of which the last 2 * heads * dim
  int64_t kv_cols;
  const int64_t* offsets;  ///< [queries + 1], in rows
  const int64_t* rows;
  int64_t most_keys;  ///< of a query
  int64_t heads;
  int64_t dim;
};
/// y: an operand [queries, heads * dim]. Throws Error{unsupported} where a query's keys are too many for a
/// block of threads.
void attend_to_keys(Device& device, const QueriesToKeys& attention, Operand type, void* y);

/// The three steps of channel attention.
struct ChannelProducts {
  Values qkv;  ///< [images * tokens, 3 * groups * dim]
  int64_t images;
  ChannelRoom room;
};
/// The largest part of the tokens that a block of threads has room for.
ChannelRoom channel_room(const Device& device, int64_t tokens, int64_t groups, int64_t dim, Operand type);
/// sums: [images * groups, parts, square] of float32.
void channel_products(Device& device, const ChannelProducts& products, Operand type, float* sums);
/// weights: [images * groups, square] of T, softmax_rows(scale * sums). Overwrites sums.
void channel_softmax(Device& device, const ChannelProducts& products, float scale, float* sums, Operand type,
                     void* weights);
/// y: an operand [images * tokens, groups * dim].
void channel_mix(Device& device, const ChannelProducts& products, Operand type, const void* weights, void* y);

/// y[r] = x[r] / factors[r], as f8, with factors[r] such that the largest value of the row becomes the
/// largest of f8. x: an operand of another type [rows, cols], cols a multiple of 16.
struct Rounding {
  Values x;
  int64_t rows;
  int64_t cols;
};
void round_to_f8(Device& device, const Rounding& rounding, void* y, float* factors);

/// c[r] = bias, or c[r] += bias. c: [rows, cols], rows c_stride values apart.
struct BiasRows {
  const float* bias;
  int64_t rows;
  int64_t cols;
  int64_t c_stride;
  bool accumulate;
};
void add_bias(Device& device, const BiasRows& bias, float* c);

/// c = a W^T + bias, or c += a W^T + bias, slowly: for the shapes that the library refuses.
struct PlainProduct {
  const void* a;  ///< an operand [rows, in]
  int64_t rows;
  int64_t in;          ///< a multiple of 16
  const void* weight;  ///< [out, in], with room for a multiple of 16 rows
  int64_t out;
  const float* bias;  ///< or null
  void* c;            ///< rows are c_stride values apart
  int64_t c_stride;
  bool accumulate;              ///< for c of float32
  const float* a_factors;       ///< [rows], of f8
  const float* weight_factors;  ///< [out], of f8
};
void multiply_plainly(Device& device, const PlainProduct& product, Operand type, Operand result);

/// y[b] = mean of the rows b * tokens .. (b + 1) * tokens of x.
void mean_tokens(Device& device, const float* x, int64_t batch, int64_t tokens, int64_t channels, float* y);

/// Divides each row by its L2 norm.
void l2_normalise(Device& device, float* x, int64_t rows, int64_t cols);

}  // namespace mii::cuda
