#include "backend/cuda/device.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <mutex>
#include <vector>

#include "backend/cuda/check.h"
#include "backend/cuda/obstacle.h"
#include "mii/error.h"

namespace mii::cuda {
namespace {

int driver_version() {
  int version = 0;
  cudaDriverGetVersion(&version);
  return version;
}

Machine machine_with(int index) {
  Machine machine;
  machine.driver_version = driver_version();
  machine.needed_version = CUDART_VERSION;
  cudaError_t result = cudaGetDeviceCount(&machine.devices);
  machine.driver_suffices = result != cudaErrorInsufficientDriver;
  if (result == cudaErrorNoDevice) return machine;
  cudaDeviceProp device{};
  if (result == cudaSuccess && index < machine.devices) result = cudaGetDeviceProperties(&device, index);
  if (result != cudaSuccess) machine.failure = cudaGetErrorString(result);
  machine.name = device.name;
  machine.major = device.major;
  machine.minor = device.minor;
  return machine;
}

using Stream = Owned<cudaStream_t, cudaStreamDestroy>;
using Event = Owned<cudaEvent_t, cudaEventDestroy>;
using Graph = Owned<cudaGraph_t, cudaGraphDestroy>;
using PinnedMemory = Owned<void*, cudaFreeHost>;

class CudaRecord final : public Record {
 public:
  CudaRecord(const Graph& graph, cudaStream_t stream) : stream_(stream) {
    check(cudaGraphInstantiate(exec_.made(), graph.get(), 0));
  }
  ~CudaRecord() override { cudaStreamSynchronize(stream_); }  // it may be being played
  CudaRecord(const CudaRecord&) = delete;
  CudaRecord& operator=(const CudaRecord&) = delete;

  cudaGraphExec_t exec() const { return exec_.get(); }

 private:
  cudaStream_t stream_;
  Owned<cudaGraphExec_t, cudaGraphExecDestroy> exec_;
};

Event make_event() {
  Event event;
  check(cudaEventCreateWithFlags(event.made(), cudaEventDisableTiming));
  return event;
}

// The way up by our own memory, which does not move: on some systems the device reads ordinary memory after
// the call has returned. While one part is under way the next is copied.
class WayUp {
 public:
  explicit WayUp(size_t parts) : parts_(parts) {}

  void copy(const void* from, void* to, int64_t bytes, cudaStream_t stream) {
    for (int64_t done = 0; done < bytes; done += Part::kBytes) {
      const auto now = static_cast<size_t>(std::min(Part::kBytes, bytes - done));
      const Part& part = parts_[next_++ % parts_.size()];
      check(cudaEventSynchronize(part.copied.get()));
      std::memcpy(part.memory.get(), static_cast<const std::byte*>(from) + done, now);
      check(cudaMemcpyAsync(static_cast<std::byte*>(to) + done, part.memory.get(), now,
                            cudaMemcpyHostToDevice, stream));
      check(cudaEventRecord(part.copied.get(), stream));
    }
  }

 private:
  // What waits in it for its way may not be overwritten before its event.
  struct Part {
    static constexpr int64_t kBytes = 1 << 20;
    PinnedMemory memory;
    Event copied = make_event();

    Part() { check(cudaMallocHost(memory.made(), kBytes)); }
  };

  std::vector<Part> parts_;
  size_t next_ = 0;
};

int selected(int index) {
  check(cudaSetDevice(index));
  return index;
}

class CudaSideStream final : public SideStream {
 public:
  CudaSideStream(int index, cudaStream_t main) : index_(selected(index)), main_(main) {
    check(cudaStreamCreateWithFlags(stream_.made(), cudaStreamNonBlocking));
  }
  ~CudaSideStream() override {
    cudaSetDevice(index_);
    cudaStreamSynchronize(stream_.get());  // copies may be under way
  }
  CudaSideStream(const CudaSideStream&) = delete;
  CudaSideStream& operator=(const CudaSideStream&) = delete;

  void copy_in(const void* from, void* to, int64_t bytes) override {
    selected(index_);
    way_up_.copy(from, to, bytes, stream_.get());
  }
  void hand_over() override {
    check(cudaEventRecord(copied_.get(), stream_.get()));
    check(cudaStreamWaitEvent(main_, copied_.get()));
  }
  // That the device is lost is noticed by the next call.
  void take_back() noexcept override {
    cudaEventRecord(read_.get(), main_);
    cudaStreamWaitEvent(stream_.get(), read_.get());
  }

 private:
  int index_;
  cudaStream_t main_;
  Stream stream_;
  Event copied_ = make_event();
  Event read_ = make_event();
  WayUp way_up_{4};
};

class CudaDevice final : public Device {
 public:
  explicit CudaDevice(int index) : index_(selected(index)) {
    check(cudaGetDeviceProperties(&properties_, index));
    check(cudaStreamCreateWithFlags(stream_.made(), cudaStreamNonBlocking));
  }
  ~CudaDevice() override { cudaSetDevice(index_); }
  CudaDevice(const CudaDevice&) = delete;
  CudaDevice& operator=(const CudaDevice&) = delete;

  std::string description() const override {
    return std::string(properties_.name) + ", driver " + version_text(driver_version());
  }
  void attach_thread() override { selected(index_); }
  int64_t shared_bytes() const override { return static_cast<int64_t>(properties_.sharedMemPerBlockOptin); }
  int64_t total_bytes() const override { return static_cast<int64_t>(properties_.totalGlobalMem); }

  // Memory comes and goes on any thread, which may have worked on another device.
  void* allocate(int64_t bytes) override {
    const std::lock_guard lock(capturing_);
    selected(index_);
    void* memory = nullptr;
    check(cudaMalloc(&memory, static_cast<size_t>(bytes)));
    return memory;
  }
  // Waits for the device, so that nothing still uses it.
  void free(void* memory) noexcept override {
    const std::lock_guard lock(capturing_);
    cudaSetDevice(index_);
    cudaFree(memory);
  }

  void zero(void* to, int64_t bytes) override {
    check(cudaMemsetAsync(to, 0, static_cast<size_t>(bytes), stream_.get()));
  }
  void copy_in(const void* from, void* to, int64_t bytes) override {
    way_up_.copy(from, to, bytes, stream_.get());
  }
  void copy_out(const void* from, void* to, int64_t bytes) override {
    check(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyDeviceToHost, stream_.get()));
    check(cudaStreamSynchronize(stream_.get()));
  }

  // Other threads' work on other streams is not in its way.
  std::unique_ptr<Record> record(const std::function<void()>& work) override {
    const std::lock_guard lock(capturing_);
    Graph graph;
    check(cudaStreamBeginCapture(stream_.get(), cudaStreamCaptureModeThreadLocal));
    try {
      work();
    } catch (...) {
      cudaStreamEndCapture(stream_.get(), graph.made());
      cudaGetLastError();
      throw;
    }
    check(cudaStreamEndCapture(stream_.get(), graph.made()));
    return std::make_unique<CudaRecord>(graph, stream_.get());
  }
  void play(const Record& record) override {
    check(cudaGraphLaunch(static_cast<const CudaRecord&>(record).exec(), stream_.get()));
  }
  std::unique_ptr<SideStream> make_side_stream() override {
    return std::make_unique<CudaSideStream>(index_, stream_.get());
  }
  void* stream() const override { return stream_.get(); }

 private:
  int index_;
  cudaDeviceProp properties_{};
  Stream stream_;
  WayUp way_up_{16};
  // While work is recorded, memory neither comes nor goes on other threads; on this one it is refused.
  std::recursive_mutex capturing_;
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
    case cudaErrorLaunchOutOfResources:
    case cudaErrorInvalidResourceHandle:
    case cudaErrorNotSupported:
    case cudaErrorNotPermitted:
    case cudaErrorStreamCaptureUnsupported:
    case cudaErrorStreamCaptureInvalidated:
    case cudaErrorStreamCaptureMerge:
    case cudaErrorStreamCaptureUnmatched:
    case cudaErrorStreamCaptureUnjoined:
    case cudaErrorStreamCaptureIsolation:
    case cudaErrorStreamCaptureImplicit:
    case cudaErrorStreamCaptureWrongThread:
    case cudaErrorCapturedEvent:
    case cudaErrorGraphExecUpdateFailure:
      cudaGetLastError();
      throw Error(ErrorCode::internal, std::string("CUDA: ") + cudaGetErrorString(result));
    default:
      throw Error(ErrorCode::device_lost, std::string("the CUDA device no longer works (") +
                                              cudaGetErrorString(result) + "): start the program again");
  }
}

std::shared_ptr<Device> Device::open(int index) {
  if (const std::string reason = cuda::obstacle(machine_with(index), index); !reason.empty())
    throw Error(ErrorCode::unsupported, reason);
  return std::make_shared<CudaDevice>(index);
}

std::string Device::obstacle() { return cuda::obstacle(machine_with(0), 0); }

bool Device::multiplies_f8(int index) {
  int major = 0, minor = 0;
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, index));
  check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, index));
  return major == 9 && minor == 0;
}

int Device::count() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

}  // namespace mii::cuda
