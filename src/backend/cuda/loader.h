#pragma once

#include "backend/registry.h"

namespace mii {

/// The backend in libmii_cuda.so, a library of its own that is loaded when it is first asked for: from the
/// folder that MII_CUDA_LIBRARY names, from beside this program or its ../lib/mii, or from where the system
/// looks.
BackendEntry cuda_backend();

}  // namespace mii
