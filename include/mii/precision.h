#pragma once

#include <string_view>

#include "mii/export.h"

namespace mii {

/// The arithmetic of the towers' matrix products. Everything between them is float32 whatever it is.
enum class Precision {
  automatic,  ///< the fastest that the backend has here and that is exact enough for every use
  f32,        ///< agrees with the reference to 3e-6
  f16,        ///< half the memory; cosine with the reference at least 0.99998; values up to 65504
  bf16,       ///< half the memory; cosine with the reference at least 0.9998
  int8,  ///< a quarter of the memory; cosine with the reference at least 0.9997; never by itself; no maps
  fp8,   ///< a quarter of the memory; 16 times as coarse as bf16; never by itself; no maps
};

/// "auto", "f32", "f16", "bf16", "int8", "fp8".
MII_API const char* to_string(Precision precision);

/// The other way round. Throws Error{invalid_argument}, which lists them.
MII_API Precision parse_precision(std::string_view name);

}  // namespace mii
