#pragma once

#include "core/tensor.h"

namespace mii {

/// Floating-point operations per second of oneDNN's product of two 4096 x 4096 matrices, the median of
/// several runs, on `threads` threads: the reference for all other rates on this machine. operands: f32 or
/// bf16.
double measure_product_rate(DType operands, int threads);

}  // namespace mii
