#pragma once

#include <cmath>
#include <cstddef>
#include <span>

namespace mii {

/// 1 less the cosine of the angle between two vectors of the same length, of any length but 0.
inline double cosine_distance(std::span<const float> a, std::span<const float> b) {
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    ab += double{a[i]} * b[i];
    aa += double{a[i]} * a[i];
    bb += double{b[i]} * b[i];
  }
  return 1 - ab / std::sqrt(aa * bb);
}

}  // namespace mii
