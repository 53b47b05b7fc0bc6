#pragma once

#include "backend/product_shape.h"
#include "core/tensor.h"

namespace mii {

/// Seconds that oneDNN's own product of this shape takes on `threads` threads, the median of three runs.
/// operands: f32, bf16, or i8, whose results stay sums of 32 bits.
double measure_product_seconds(DType operands, const ProductShape& shape, int threads);

}  // namespace mii
