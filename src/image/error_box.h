#pragma once

#include <exception>
#include <mutex>

namespace mii {

/// Carries the first exception out of an OpenMP region, which an exception must not leave.
class ErrorBox {
 public:
  template <class Work>
  void run(const Work& work) noexcept {
    try {
      work();
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (first_ == nullptr) first_ = std::current_exception();
    }
  }

  /// Call this after the region.
  void rethrow() const {
    if (first_ != nullptr) std::rethrow_exception(first_);
  }

 private:
  std::mutex mutex_;
  std::exception_ptr first_;
};

}  // namespace mii
