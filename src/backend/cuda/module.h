#pragma once

#include "backend/registry.h"

// What libmii_cuda.so exports.

namespace mii::cuda {

/// Grows with every change of backend.h, registry.h or storage.h that moves something: program and library
/// must have the same.
inline constexpr int kModuleVersion = 4;

/// mii_cuda_module(kModuleVersion): its backend; null for another version.
using Module = const BackendEntry* (*)(int version);
inline constexpr const char* kModuleSymbol = "mii_cuda_module";

}  // namespace mii::cuda
