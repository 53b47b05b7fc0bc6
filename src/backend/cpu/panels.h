#pragma once

#include <cstdint>

namespace mii {

/// A matrix of weights as its file has it, [out, units]: a unit is four bytes along the inputs, one f32, two
/// bf16 or four int8.
struct UnitMatrix {
  const uint32_t* values;
  int64_t out;
  int64_t units;
};

/// Writes the panels from which oneDNN's fast kernels multiply: each [units, columns] of so many outputs, one
/// panel after another. On all threads. columns divides out; it and the units are multiples of 4.
/// oneDNN's own reorder gives the same bytes in more than twice the time.
void pack_panels(const UnitMatrix& from, int64_t columns, uint32_t* to);

}  // namespace mii
