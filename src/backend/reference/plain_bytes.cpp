#include "backend/reference/plain_bytes.h"

#include <algorithm>
#include <cmath>

namespace mii {

PlainBytes plain_quantise(const float* x, int64_t n) {
  float least = 0, most = 0;
  for (int64_t i = 0; i < n; ++i) {
    least = std::min(least, x[i]);
    most = std::max(most, x[i]);
  }
  PlainBytes row{std::vector<uint8_t>(static_cast<size_t>(n)), (most - least) / 255.0f, 0};
  if (row.scale < 0x1p-100f) return row;  // zeros, or so small that 1 / scale is beyond float32
  const float inverse = 255.0f / (most - least);
  row.zero = static_cast<int32_t>(std::nearbyint(-least * inverse));
  for (int64_t i = 0; i < n; ++i) {
    const auto step = static_cast<int32_t>(std::nearbyint(x[i] * inverse)) + row.zero;
    row.values[static_cast<size_t>(i)] = static_cast<uint8_t>(std::clamp(step, 0, 255));
  }
  return row;
}

int64_t plain_product(const PlainBytes& x, const int8_t* weight, int64_t n) {
  int64_t sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += (int64_t{x.values[static_cast<size_t>(i)]} - x.zero) * weight[i];
  return sum;
}

}  // namespace mii
