#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

// A device with one stream: all work goes through it in order, but for what goes up ahead. device.cpp is the
// real one; device_on_host.h lies in plain memory.

namespace mii::cuda {

/// Work of a stream that can be put into it again. The memory that it was recorded with is named in it.
class Record {
 public:
  virtual ~Record() = default;
};

/// A stream beside the device's own, in which bytes go up while the device computes. One thread at a time
/// uses it; the last two calls are of the thread that computes.
class SideStream {
 public:
  virtual ~SideStream() = default;
  /// From the host; it may be changed when the call returns. Throws Error{device_lost}.
  virtual void copy_in(const void* from, void* to, int64_t bytes) = 0;
  /// What comes into the device's stream from now on waits for what came into this one. Throws
  /// Error{device_lost}.
  virtual void hand_over() = 0;
  /// What comes into this stream from now on waits for what came into the device's.
  virtual void take_back() noexcept = 0;
};

class Device {
 public:
  /// Throws Error{unsupported}, in a sentence, for a machine without such a device, a driver that is too old
  /// or a device of another architecture.
  static std::shared_ptr<Device> open(int index);
  /// Why open(0) would throw, or nothing.
  static std::string obstacle();
  /// Where there is no obstacle.
  static int count();
  /// Whether cuBLASLt multiplies f8 with factors on the rows of both operands there: on Hopper alone.
  static bool multiplies_f8(int index);

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

  /// What `work` puts into the stream, which is not done yet. Throws Error{internal} for work that cannot be
  /// recorded, as allocations and copies from or to the host, and what work throws.
  virtual std::unique_ptr<Record> record(const std::function<void()>& work) = 0;
  /// Puts it into the stream.
  virtual void play(const Record& record) = 0;

  virtual std::unique_ptr<SideStream> make_side_stream() = 0;

  /// Of all Memory. Safe to call on any thread.
  int64_t used_bytes() const { return used_bytes_; }
  /// How often memory was allocated, and freed: what was recorded before may name memory that is another's
  /// now.
  int64_t allocations() const { return allocations_; }
  int64_t frees() const { return frees_; }

  /// A cudaStream_t; null on the host.
  virtual void* stream() const { return nullptr; }

 private:
  friend class Memory;
  std::atomic<int64_t> used_bytes_ = 0;
  std::atomic<int64_t> allocations_ = 0, frees_ = 0;
};

/// Memory of a device.
class Memory {
 public:
  Memory() = default;
  Memory(std::shared_ptr<Device> device, int64_t bytes)
      : device_(std::move(device)), bytes_(bytes), data_(device_->allocate(bytes)) {
    device_->used_bytes_ += bytes_;
    ++device_->allocations_;
  }
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
    if (data_ != nullptr) {
      device_->free(data_);
      device_->used_bytes_ -= bytes_;
      ++device_->frees_;
    }
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
