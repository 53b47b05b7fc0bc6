#pragma once

#include <cuda_runtime_api.h>

namespace mii::cuda {

/// Throws Error{out_of_memory}, Error{device_lost} or Error{internal} unless a call went well.
void check(cudaError_t result);

}  // namespace mii::cuda
