#pragma once

#include <memory>

#include "backend/backend.h"
#include "core/tensor.h"

namespace mii {

/// oneDNN for matrix products, vector code for the rest. products: f32 or bf16, the type of their operands.
/// Runs on the OpenMP threads of the thread that calls it (omp_set_num_threads there sets their number).
std::unique_ptr<Backend> make_cpu_backend(DType products);

/// Whether this machine has instructions for bf16 products, so that make_cpu_backend(bf16) is the faster one.
bool cpu_has_fast_bf16();

}  // namespace mii
