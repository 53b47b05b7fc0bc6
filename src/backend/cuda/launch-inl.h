// How a kernel is started: on the device where nvcc compiles this, else in loops.

#include "backend/cuda/block.h"
#include "backend/cuda/device.h"

#ifdef __CUDACC__
#include "backend/cuda/check.h"
#else
#include <vector>

#include "backend/cuda/device_on_host.h"
#endif

namespace mii::cuda {

struct Launch {
  int64_t blocks;
  int threads;           ///< of a block, a multiple of 32
  int64_t shared_bytes;  ///< of a block
};

namespace {

#ifdef __CUDACC__

template <typename Kernel>
__global__ void run_kernel(const __grid_constant__ Kernel kernel) {
  extern __shared__ __align__(128) std::byte shared[];
  kernel(Block(shared));
}

constexpr int64_t kSharedWithoutAsking = 48 << 10;

// Whoever asks for more asks for all: engines on one device share this setting of a kernel.
template <typename Kernel>
void launch(Device& device, const Launch& shape, const Kernel& kernel) {
  if (shape.blocks == 0) return;
  if (shape.shared_bytes > kSharedWithoutAsking)
    check(cudaFuncSetAttribute(run_kernel<Kernel>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(device.shared_bytes())));
  run_kernel<<<static_cast<unsigned>(shape.blocks), static_cast<unsigned>(shape.threads),
               static_cast<size_t>(shape.shared_bytes), static_cast<cudaStream_t>(device.stream())>>>(kernel);
  check(cudaGetLastError());
}

#else

// Shared memory is full of NaN before each block, as nothing may count on what was in it.
template <typename Kernel>
void launch(Device& device, const Launch& shape, const Kernel& kernel) {
  static_cast<HostDevice&>(device).run([shape, kernel] {
    std::vector<std::byte> shared(static_cast<size_t>(shape.shared_bytes) + 128);
    void* aligned = shared.data();
    size_t room = shared.size();
    std::align(128, static_cast<size_t>(shape.shared_bytes), aligned, room);
    for (int64_t b = 0; b < shape.blocks; ++b) {
      std::memset(aligned, 0xFF, static_cast<size_t>(shape.shared_bytes));
      kernel(Block(backwards ? shape.blocks - 1 - b : b, shape.threads, static_cast<std::byte*>(aligned)));
    }
  });
}

#endif

}  // namespace
}  // namespace mii::cuda
