#pragma once

#include "backend/registry.h"

namespace mii {

/// Plain loops in the order of the formulas, accumulation in double: slow, float32, obviously right.
BackendEntry reference_backend();

}  // namespace mii
