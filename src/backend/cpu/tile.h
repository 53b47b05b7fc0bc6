#pragma once

#include <cstddef>

namespace mii {

// The small products' accumulators, rows x vectors: 12 of them, with two vectors of b and one value of a, fit
// the 16 registers of AVX2 and keep two multiply-add units busy.
inline constexpr size_t kTileRows = 6;
inline constexpr size_t kTileVectors = 2;

}  // namespace mii
