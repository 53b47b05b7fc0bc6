#pragma once

#include "backend/registry.h"

namespace mii {

/// Plain loops in the order of the formulas, accumulation in double: slow, obviously right. In
/// int8 the operands of the products are rounded to the same integers as by any other backend.
BackendEntry reference_backend();

}  // namespace mii
