#pragma once

#include <string_view>

#include "mii/export.h"

namespace mii {

/// The arithmetic of the towers' matrix products. Everything between them is float32 whatever it is.
enum class Precision {
  automatic,  ///< the fastest that the backend has here and that is exact enough for every use
  f32,        ///< agrees with the reference to 3e-6
  bf16,       ///< half the memory; cosine with the reference at least 0.9998
};

/// "auto", "f32", "bf16".
MII_API const char* to_string(Precision precision);

/// The other way round. Throws Error{invalid_argument}, which lists them.
MII_API Precision parse_precision(std::string_view name);

}  // namespace mii
