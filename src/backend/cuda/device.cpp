#include "backend/cuda/device.h"

#include <cuda_runtime_api.h>

#include "backend/cuda/check.h"
#include "mii/error.h"

namespace mii::cuda {
namespace {

// The oldest that this library's machine code and products of bfloat16 run on.
constexpr int kOldestArchitecture = 80;

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

int driver_version() {
  int version = 0;
  cudaDriverGetVersion(&version);
  return version;
}

// Why the machine has no device of this number that works here, or nothing.
std::string obstacle_of(int index) {
  int count = 0;
  const cudaError_t result = cudaGetDeviceCount(&count);
  if (result == cudaErrorInsufficientDriver && driver_version() == 0) return "no NVIDIA driver";
  if (result == cudaErrorInsufficientDriver)
    return "the NVIDIA driver supports CUDA " + version_text(driver_version()) + ", expected " +
           version_text(CUDART_VERSION) + " or later";
  if (result == cudaErrorNoDevice || (result == cudaSuccess && count == 0)) return "no CUDA device";
  if (result != cudaSuccess) return std::string("CUDA: ") + cudaGetErrorString(result);
  if (index >= count)
    return "no CUDA device " + std::to_string(index) + ", there are " + std::to_string(count);
  cudaDeviceProp device{};
  if (const cudaError_t asked = cudaGetDeviceProperties(&device, index); asked != cudaSuccess)
    return std::string("CUDA: ") + cudaGetErrorString(asked);
  if (10 * device.major + device.minor < kOldestArchitecture)
    return std::string(device.name) + " has compute capability " + std::to_string(device.major) + "." +
           std::to_string(device.minor) + ", expected 8.0 or later";
  return {};
}

class CudaDevice final : public Device {
 public:
  explicit CudaDevice(int index) : index_(index) {
    check(cudaSetDevice(index));
    check(cudaGetDeviceProperties(&properties_, index));
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
  }
  ~CudaDevice() override { cudaStreamDestroy(stream_); }
  CudaDevice(const CudaDevice&) = delete;
  CudaDevice& operator=(const CudaDevice&) = delete;

  std::string description() const override {
    return std::string(properties_.name) + ", driver " + version_text(driver_version());
  }
  void attach_thread() override { check(cudaSetDevice(index_)); }
  int64_t shared_bytes() const override { return static_cast<int64_t>(properties_.sharedMemPerBlockOptin); }
  int64_t total_bytes() const override { return static_cast<int64_t>(properties_.totalGlobalMem); }

  void* allocate(int64_t bytes) override {
    void* memory = nullptr;
    check(cudaMalloc(&memory, static_cast<size_t>(bytes)));
    return memory;
  }
  // Waits for the device, so that nothing still uses it.
  void free(void* memory) noexcept override { cudaFree(memory); }

  void zero(void* to, int64_t bytes) override {
    check(cudaMemsetAsync(to, 0, static_cast<size_t>(bytes), stream_));
  }
  // From ordinary memory the call returns when the source has been read.
  void copy_in(const void* from, void* to, int64_t bytes) override {
    check(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyHostToDevice, stream_));
  }
  void copy_out(const void* from, void* to, int64_t bytes) override {
    check(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyDeviceToHost, stream_));
    check(cudaStreamSynchronize(stream_));
  }
  void* stream() const override { return stream_; }

 private:
  int index_;
  cudaDeviceProp properties_{};
  cudaStream_t stream_ = nullptr;
};

}  // namespace

void check(cudaError_t result) {
  switch (result) {
    case cudaSuccess:
      return;
    case cudaErrorMemoryAllocation:
      cudaGetLastError();  // or later calls would give it again
      throw Error(ErrorCode::out_of_memory, "the CUDA device has no memory left");
    case cudaErrorInvalidValue:
    case cudaErrorInvalidConfiguration:
    case cudaErrorInvalidDeviceFunction:
    case cudaErrorNoKernelImageForDevice:
      cudaGetLastError();
      throw Error(ErrorCode::internal, std::string("CUDA: ") + cudaGetErrorString(result));
    default:
      throw Error(ErrorCode::device_lost, std::string("the CUDA device no longer works (") +
                                              cudaGetErrorString(result) + "): start the program again");
  }
}

std::shared_ptr<Device> Device::open(int index) {
  if (const std::string obstacle = obstacle_of(index); !obstacle.empty())
    throw Error(ErrorCode::unsupported, obstacle);
  return std::make_shared<CudaDevice>(index);
}

std::string Device::obstacle() { return obstacle_of(0); }

}  // namespace mii::cuda
