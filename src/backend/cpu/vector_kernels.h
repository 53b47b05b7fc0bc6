#pragma once

#include <cstddef>
#include <cstdint>

#include "core/tensor.h"

// The vectorised inner parts of the CPU backend: each works on one task of one thread, compiled for several
// instruction sets and chosen at run time (Highway). The caller splits the work.

namespace mii {

/// y = norm(x) for `rows` rows of `channels`; the result is f32 or rounded to bf16.
struct LayerNormRows {
  const float* x;
  size_t rows;
  size_t channels;
  const float* weight;
  const float* bias;
  float epsilon;
};
void layer_norm_rows(const LayerNormRows& task, float* y);
void layer_norm_rows(const LayerNormRows& task, BFloat16* y);

/// Copies, rounding where the type asks for it.
void round_to(const float* x, size_t n, float* y);
void round_to(const float* x, size_t n, BFloat16* y);

/// One row of tokens [width, channels] of y = x + depthwise conv3x3(x).
/// x points to the row itself; the rows above and below are at -/+ width * channels where they exist.
struct DepthwiseRow {
  const float* x;
  size_t width;
  size_t channels;
  bool has_above;
  bool has_below;
  const float* weight;  ///< [3, 3, channels]
  const float* bias;    ///< [channels]
};
void depthwise_row(const DepthwiseRow& task, float* y);

/// One head of softmax attention over a list of tokens.
struct AttentionHead {
  /// q, k and v of token i start at qkv + row_of[i] * row_stride + {q,k,v}_offset and have `dim` values each.
  const float* qkv;
  const int64_t* row_of;
  size_t tokens;
  size_t row_stride;
  size_t q_offset;
  size_t k_offset;
  size_t v_offset;
  size_t dim;
  float scale;
  bool causal;             ///< token i attends to tokens 0 .. i
  size_t padding_tokens;   ///< this many more equal tokens take part as keys and values
  const float* padding_k;  ///< [dim]
  const float* padding_v;  ///< [dim]
};
/// Floats of scratch memory that attend() needs.
size_t attention_scratch(size_t tokens, size_t dim);
/// Writes [tokens, dim]: token i at out + row_of[i] * out_stride.
void attend(const AttentionHead& head, float* scratch, float* out, size_t out_stride);
void attend(const AttentionHead& head, float* scratch, BFloat16* out, size_t out_stride);

/// One head of one query's softmax attention to keys that lie anywhere.
struct QueryToKeys {
  const float* q;  ///< [dim]
  /// k and v of key j start at kv + row_of[j] * row_stride + {k,v}_offset and have `dim` values each.
  const float* kv;
  const int64_t* row_of;
  size_t keys;
  size_t row_stride;
  size_t k_offset;
  size_t v_offset;
  size_t dim;
  float scale;
};
/// scratch: [keys]; out: [dim].
void attend_to_keys(const QueryToKeys& task, float* scratch, float* out);
void attend_to_keys(const QueryToKeys& task, float* scratch, BFloat16* out);

/// Part of channel attention's products: for each of `groups` groups of `dim` channels
/// sums[g][i][j] = sum over `tokens` rows of q[g*dim + i] * k[g*dim + j]. sums: [groups, dim, dim],
/// overwritten.
struct ChannelTokens {
  const float* qkv;  ///< [tokens, 3 * groups * dim], packed q|k|v
  size_t tokens;
  size_t groups;
  size_t dim;
};
void channel_products(const ChannelTokens& part, float* sums);

/// In place: [dim, dim] sums become softmax_rows(scale * sums), transposed.
void channel_softmax(float* sums, size_t dim, float scale);

/// out[n][g*dim + i] = sum_j v[n][g*dim + j] * weights[g][j][i] for the rows of the part; out: [tokens,
/// groups * dim].
void channel_mix(const ChannelTokens& part, const float* weights, float* out);
void channel_mix(const ChannelTokens& part, const float* weights, BFloat16* out);

/// A row of bytes stands for scale * (values - zero).
struct ByteRow {
  float scale;
  int32_t zero;
};
/// Rounds a row to 256 equal steps from its smallest value, or 0, to its largest, or 0. A row that is not
/// finite gets a scale that is not.
ByteRow quantise_row(const float* x, size_t n, uint8_t* to);

/// What the sums of products of bytes stand for, per row r and column c of a block:
/// rows[r].scale * scales[c] * (sums[r][c] - rows[r].zero * weight_sums[c]) + bias[c].
struct ByteSums {
  const int32_t* sums;  ///< [row_count, columns]
  size_t row_count;
  size_t columns;
  const ByteRow* rows;         ///< [row_count]
  const float* scales;         ///< [columns]
  const int32_t* weight_sums;  ///< [columns], each the sum of a column's weights
  const float* bias;           ///< [columns]
};
/// y = the values, y += the values, y = gelu(the values), y = quick_gelu(the values). y: rows of columns,
/// `stride` apart.
void store_byte_sums(const ByteSums& block, float* y, size_t stride);
void add_byte_sums(const ByteSums& block, float* y, size_t stride);
void gelu_byte_sums(const ByteSums& block, float* y, size_t stride);
void quick_gelu_byte_sums(const ByteSums& block, float* y, size_t stride);

/// The sums of a block of products of floats; to each row comes a bias.
struct FloatSums {
  const float* sums;  ///< [row_count, columns]
  size_t row_count;
  size_t columns;
  const float* bias;  ///< [columns]
};
/// y = the sums, y += the sums, y = gelu(the sums), y = quick_gelu(the sums). y: rows of columns, `stride`
/// apart.
void store_float_sums(const FloatSums& block, float* y, size_t stride);
void add_float_sums(const FloatSums& block, float* y, size_t stride);
void gelu_float_sums(const FloatSums& block, float* y, size_t stride);
void gelu_float_sums(const FloatSums& block, BFloat16* y, size_t stride);
void quick_gelu_float_sums(const FloatSums& block, float* y, size_t stride);
void quick_gelu_float_sums(const FloatSums& block, BFloat16* y, size_t stride);

/// sum += x, element by element.
void add_to(const float* x, size_t n, float* sum);

}  // namespace mii
