#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>

#include "mii/error.h"

namespace mii {

/// How many items one computation takes. A device whose memory does not hold so many gets half of them from
/// then on. Safe to use from several threads.
class BatchSize {
 public:
  explicit BatchSize(size_t size) : size_(std::max<size_t>(1, size)) {}

  size_t get() const { return size_; }

  /// compute(first, n) for all of `total` items, in batches. One that throws Error{out_of_memory} is made
  /// smaller and tried again after shrunk(items of a batch), unless it is of one item.
  template <typename Compute, typename Shrunk>
  void each_batch(size_t total, const Compute& compute, const Shrunk& shrunk) {
    for (size_t first = 0; first < total;) {
      const size_t n = std::min(get(), total - first);
      try {
        compute(first, n);
        first += n;
      } catch (const Error& error) {
        if (error.code() != ErrorCode::out_of_memory || n == 1) throw;
        shrink(n / 2);
        shrunk(n / 2);
      }
    }
  }

 private:
  void shrink(size_t to) {
    for (size_t size = size_; size > to && !size_.compare_exchange_weak(size, to);) {
    }
  }

  std::atomic<size_t> size_;
};

}  // namespace mii
