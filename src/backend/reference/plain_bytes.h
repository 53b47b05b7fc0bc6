#pragma once

#include <cstdint>
#include <vector>

// How int8 rounds the left operands of its products, in plain loops: what the fast kernels must equal to the
// last bit.

namespace mii {

/// x[i] is about scale * (values[i] - zero). Zero itself is exact.
struct PlainBytes {
  std::vector<uint8_t> values;
  float scale = 0;
  int32_t zero = 0;
};

/// Rounds a row to 256 equal steps from its smallest value, or 0, to its largest, or 0. x: [n], finite.
PlainBytes plain_quantise(const float* x, int64_t n);

/// Sum over i of (x.values[i] - x.zero) * weight[i].
int64_t plain_product(const PlainBytes& x, const int8_t* weight, int64_t n);

}  // namespace mii
