#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

#include "serve/http.h"

namespace mii::serve {

/// Bounds how many requests hold what the queue of images does not count: work and memory of answers that
/// are computed while they are written. May be called by several threads.
class Turns {
 public:
  explicit Turns(size_t most) : free_(std::make_shared<std::atomic<size_t>>(most)) {}

  /// Its owners have a turn; nothing while all are taken.
  std::shared_ptr<void> take() const {
    size_t left = *free_;
    while (left > 0 && !free_->compare_exchange_weak(left, left - 1)) {
    }
    if (left == 0) return nullptr;
    return {free_.get(), [free = free_](void*) { ++*free; }};
  }

 private:
  std::shared_ptr<std::atomic<size_t>> free_;
};

/// 429, to be asked again in some seconds.
Response turns_are_taken(const char* what);

}  // namespace mii::serve
