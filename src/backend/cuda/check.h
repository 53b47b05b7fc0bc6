#pragma once

#include <cuda_runtime_api.h>

#include <utility>

namespace mii::cuda {

/// Throws Error{out_of_memory}, Error{device_lost} or Error{internal} unless a call went well.
void check(cudaError_t result);

/// An object of CUDA's libraries.
template <typename Handle, auto destroy>
class Owned {
 public:
  Owned() = default;
  explicit Owned(Handle handle) : handle_(handle) {}
  Owned(Owned&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Owned& operator=(Owned&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Owned() {
    if (handle_ != nullptr) destroy(handle_);
  }

  Handle get() const { return handle_; }
  /// For the function that makes it.
  Handle* made() { return &handle_; }

 private:
  Handle handle_ = nullptr;
};

}  // namespace mii::cuda
