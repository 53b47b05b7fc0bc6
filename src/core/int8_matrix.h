#pragma once

#include <cstdint>
#include <vector>

#include "core/aligned_buffer.h"

namespace mii {

/// A matrix of bytes with a factor on each row: value[r][c] is about scales[r] * values[r][c].
struct Int8Matrix {
  AlignedBuffer<int8_t> values;  ///< [rows, cols], -127 .. 127
  std::vector<float> scales;     ///< [rows], positive
};

/// Rounds each row to 255 equal steps around zero, the widest that its largest magnitude allows. The scale of
/// a row of zeros is 1. values: [rows, cols], finite.
Int8Matrix quantise_matrix(const float* values, int64_t rows, int64_t cols);

/// values[r][c] = matrix.scales[r] * matrix.values[r][c]. values: [rows, cols].
void dequantise_matrix(const int8_t* matrix, const float* scales, int64_t rows, int64_t cols, float* values);

}  // namespace mii
