#pragma once

#include <memory>

#include "backend/backend.h"

namespace mii {

/// Plain loops in the order of the formulas, accumulation in double: slow, float32, obviously right.
std::unique_ptr<Backend> make_reference_backend();

}  // namespace mii
