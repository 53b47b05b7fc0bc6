#include "backend/cuda/module.h"

#include "backend/cuda/cuda_backend.h"

extern "C" __attribute__((visibility("default"))) const mii::BackendEntry* mii_cuda_module(int version) {
  if (version != mii::cuda::kModuleVersion) return nullptr;
  static const mii::BackendEntry entry = mii::cuda::device_backend();
  return &entry;
}
