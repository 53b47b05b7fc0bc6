#include "core/int8_matrix.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace mii {
namespace {

constexpr float kLargest = 127;

// Returns the row's scale.
float quantise_row(const float* row, int64_t cols, int8_t* to) {
  float top = 0;
  for (int64_t c = 0; c < cols; ++c) top = std::max(top, std::fabs(row[c]));
  const float scale = top / kLargest;
  if (scale < std::numeric_limits<float>::min()) {  // zeros, or so small that their scale is not exact
    std::fill_n(to, cols, int8_t{0});
    return 1;
  }
  const float inverse = kLargest / top;
  // Adding and subtracting 1.5 * 2^23 rounds to the nearest whole number, ties to even; loops of it
  // vectorise.
  constexpr float kRound = 12582912.0f;
  for (int64_t c = 0; c < cols; ++c) to[c] = static_cast<int8_t>((row[c] * inverse + kRound) - kRound);
  return scale;
}

}  // namespace

Int8Matrix quantise_matrix(const float* values, int64_t rows, int64_t cols) {
  Int8Matrix matrix{AlignedBuffer<int8_t>(static_cast<size_t>(rows * cols)),
                    std::vector<float>(static_cast<size_t>(rows))};
#pragma omp parallel for schedule(dynamic, 16)
  for (int64_t r = 0; r < rows; ++r)
    matrix.scales[static_cast<size_t>(r)] =
        quantise_row(values + r * cols, cols, matrix.values.data() + r * cols);
  return matrix;
}

void dequantise_matrix(const int8_t* matrix, const float* scales, int64_t rows, int64_t cols, float* values) {
#pragma omp parallel for schedule(dynamic, 16)
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < cols; ++c) values[r * cols + c] = scales[r] * matrix[r * cols + c];
}

}  // namespace mii
