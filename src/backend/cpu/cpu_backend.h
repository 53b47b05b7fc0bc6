#pragma once

#include "backend/registry.h"

namespace mii {

/// oneDNN for matrix products, vector code for the rest; f32, and bf16 where the processor has instructions
/// for it. The thread that computes opens all parallel regions: OpenMP keeps a team of threads for each
/// thread that does.
BackendEntry cpu_backend();

}  // namespace mii
