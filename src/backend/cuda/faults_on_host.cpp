#include "backend/cuda/device_on_host.h"

/// For tests that load the library.
extern "C" __attribute__((visibility("default"))) mii::cuda::HostDevice::Faults* mii_cuda_faults() {
  return &mii::cuda::HostDevice::faults();
}
