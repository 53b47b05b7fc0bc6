#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "mii/matrix.h"

// What goes backwards through the image tower's parts between their products, on the host: little beside
// these, and nothing that a backend would need for anything else. One image of N tokens and K directions;
// gradients are [K*N, C], direction by direction.

namespace mii {

/// The derivative of the exact GELU.
float gelu_slope(float x);

/// gradients[k*N + i] *= slope(x[i]) of the GELU, value by value. x: [N, C].
void gelu_backward(const Matrix& x, Matrix& gradients);

/// Makes gradients of norm(x) those of x. x: [N, C]; weight: [C].
void layer_norm_backward(const Matrix& x, std::span<const float> weight, double epsilon, Matrix& gradients);

/// From gradients of what window attention gives to its projection, [K*N, C], to those of q|k|v, [K*N, 3C].
/// qkv: [N, 3C]; padding_qkv: [3C]; attention.padding_qkv is not looked at.
Matrix window_attention_backward(const Matrix& qkv, std::span<const float> padding_qkv,
                                 const WindowAttention& attention, const Matrix& gradients);

/// The same of channel attention.
Matrix channel_attention_backward(const Matrix& qkv, const ChannelAttention& attention,
                                  const Matrix& gradients);

/// Adds gradients of patches [K*N', size*size*C] up to those of the tokens that they were cut from [K*N, C].
/// grid: of these tokens; its batch is 1.
Matrix add_up_patches(const Matrix& patches, const TokenGrid& grid, const PatchConv& conv);

}  // namespace mii
