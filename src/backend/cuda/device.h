#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

// A device with one stream: all work goes through it in order. device.cpp is the real one; device_on_host.cpp
// lies in plain memory.

namespace mii::cuda {

class Device {
 public:
  /// Throws Error{unsupported}, in a sentence, for a machine without such a device, a driver that is too old
  /// or a device of another architecture.
  static std::shared_ptr<Device> open(int index);
  /// Why open(0) would throw, or nothing.
  static std::string obstacle();

  virtual ~Device() = default;

  /// "NVIDIA H100 80GB HBM3, driver 13.0"
  virtual std::string description() const = 0;
  /// Makes the calling thread work on this device.
  virtual void attach_thread() = 0;
  /// The most shared memory of a block of threads.
  virtual int64_t shared_bytes() const = 0;
  virtual int64_t total_bytes() const = 0;

  /// Aligned to 256 bytes. Throws Error{out_of_memory}.
  virtual void* allocate(int64_t bytes) = 0;
  virtual void free(void* memory) noexcept = 0;

  // In the order of the stream. All throw Error{device_lost} when the device no longer works.
  virtual void zero(void* to, int64_t bytes) = 0;
  /// From the host; it may be changed when the call returns.
  virtual void copy_in(const void* from, void* to, int64_t bytes) = 0;
  /// To the host; waits for all that came before.
  virtual void copy_out(const void* from, void* to, int64_t bytes) = 0;

  /// A cudaStream_t; null on the host.
  virtual void* stream() const { return nullptr; }
};

/// Memory of a device.
class Memory {
 public:
  Memory() = default;
  Memory(std::shared_ptr<Device> device, int64_t bytes)
      : device_(std::move(device)), bytes_(bytes), data_(device_->allocate(bytes)) {}
  ~Memory() { release(); }
  Memory(Memory&& other) noexcept { swap(other); }
  Memory& operator=(Memory&& other) noexcept {
    Memory taken(std::move(other));
    swap(taken);
    return *this;
  }

  template <typename T = void>
  T* as() const {
    return static_cast<T*>(data_);
  }
  int64_t bytes() const { return bytes_; }

  /// Makes room for so many bytes; what was in it is lost when it grows.
  void reserve(const std::shared_ptr<Device>& device, int64_t bytes) {
    if (bytes <= bytes_) return;
    release();  // first, so that both need not fit
    *this = Memory(device, bytes);
  }

 private:
  void release() noexcept {
    if (data_ != nullptr) device_->free(data_);
    data_ = nullptr;
    bytes_ = 0;
  }
  void swap(Memory& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(bytes_, other.bytes_);
    std::swap(data_, other.data_);
  }

  std::shared_ptr<Device> device_;
  int64_t bytes_ = 0;
  void* data_ = nullptr;
};

}  // namespace mii::cuda
