#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace mii::pipeline {

struct InOrderOptions {
  int threads = 1;
  /// Results that may wait for their turn.
  size_t ahead = 1;
  /// Asked before each take; true: what is being made is finished, and nothing more is begun.
  std::function<bool()> cancelled;
};

/// Calls make(i) for i from 0 to n - 1 on several threads, and take(i, result) for each in this order on the
/// caller's thread, while the next are being made. What either throws ends the work and is thrown here.
template <typename T>
class InOrder {
 public:
  InOrder(size_t n, InOrderOptions options, std::function<T(size_t)> make)
      : n_(n),
        options_(std::move(options)),
        make_(std::move(make)),
        results_(std::max<size_t>(1, options_.ahead)) {}

  void run(const std::function<void(size_t, T)>& take) {
    std::vector<std::thread> threads;
    const auto join = [&] {
      stop();
      for (std::thread& thread : threads) thread.join();
    };
    try {
      const size_t count = std::min<size_t>(static_cast<size_t>(std::max(1, options_.threads)), n_);
      while (threads.size() < count) threads.emplace_back([this] { work(); });
      for (size_t i = 0; i < n_ && !(options_.cancelled && options_.cancelled()); ++i) take(i, wait_for(i));
    } catch (...) {
      join();
      throw;
    }
    join();
  }

 private:
  void work() {
#ifdef _OPENMP
    omp_set_num_threads(1);  // a resize here stays on this thread: no second team beside the engine's
#endif
    for (;;) {
      size_t i = 0;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return stopping_ || next_ == n_ || next_ < taken_ + results_.size(); });
        if (stopping_ || next_ == n_) return;
        i = next_++;
      }
      std::optional<T> result;
      std::exception_ptr error;
      try {
        result.emplace(make_(i));
      } catch (...) {
        error = std::current_exception();
      }
      {
        const std::lock_guard lock(mutex_);
        if (error && !error_) error_ = error;
        results_[i % results_.size()] = std::move(result);
      }
      changed_.notify_all();
    }
  }

  T wait_for(size_t i) {
    std::unique_lock lock(mutex_);
    std::optional<T>& slot = results_[i % results_.size()];
    changed_.wait(lock, [&] { return error_ || slot; });
    if (error_) std::rethrow_exception(error_);
    T result = std::move(*slot);
    slot.reset();
    taken_ = i + 1;
    lock.unlock();
    changed_.notify_all();
    return result;
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
  }

  const size_t n_;
  const InOrderOptions options_;
  const std::function<T(size_t)> make_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::optional<T>> results_;  // guarded by mutex_, as all below; result i at i % size
  size_t next_ = 0;                        // to be made
  size_t taken_ = 0;
  bool stopping_ = false;
  std::exception_ptr error_;
};

}  // namespace mii::pipeline
