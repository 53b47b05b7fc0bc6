// A libmii_cuda.so whose two devices are loops on the host and break as told. Needs MII_CUDA_ON_HOST, its
// folder, and a test program of its own: "auto" takes the library, too.
#pragma once

#include <dlfcn.h>

#include <cstdlib>
#include <stdexcept>
#include <string>

#include "backend/cuda/device_on_host.h"

namespace mii {

/// Makes "cuda" that library's backend. What was broken is whole again.
inline cuda::HostDevice::Faults& cuda_on_host() {
  setenv("MII_CUDA_LIBRARY", MII_CUDA_ON_HOST, 1);
  void* library = dlopen(MII_CUDA_ON_HOST "/libmii_cuda.so", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw std::runtime_error(dlerror());
  const auto get = reinterpret_cast<cuda::HostDevice::Faults* (*)()>(dlsym(library, "mii_cuda_faults"));
  cuda::HostDevice::Faults& faults = *get();
  faults.memory_limit = int64_t{1} << 33;
  faults.lost = 0;
  faults.recordings_to_fail = 0;
  faults.records = faults.plays = 0;
  faults.others_behind = faults.others_to_wait_for = 0;
  return faults;
}

}  // namespace mii
