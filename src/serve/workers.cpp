#include "serve/workers.h"

#include <algorithm>
#include <utility>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace mii::serve {

Workers::Workers(int threads) {
  const int n = threads > 0 ? threads : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  for (int i = 0; i < n; ++i) threads_.emplace_back([this] { serve(); });
}

void Workers::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  first_.clear();
  second_.clear();
}

void Workers::post(Lane lane, std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    (lane == Lane::first ? first_ : second_).push_back(std::move(task));
  }
  changed_.notify_one();
}

Seconds Workers::busy_for() const {
  const std::lock_guard lock(mutex_);
  return running_since_.empty() ? Seconds::zero() : Seconds(Clock::now() - *running_since_.begin());
}

Workers::Clock::time_point Workers::last_done() const {
  const std::lock_guard lock(mutex_);
  return last_done_;
}

void Workers::serve() {
#ifdef _OPENMP
  omp_set_num_threads(1);  // a resize here stays on this thread: no second team beside the engine's
#endif
  for (;;) {
    std::function<void()> task;
    Clock::time_point start;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stopping_ || !first_.empty() || !second_.empty(); });
      if (stopping_) return;
      auto& lane = first_.empty() ? second_ : first_;
      task = std::move(lane.front());
      lane.pop_front();
      start = Clock::now();
      running_since_.insert(start);
    }
    task();
    task = nullptr;  // what it held goes with it
    const std::lock_guard lock(mutex_);
    last_done_ = Clock::now();
    running_since_.erase(running_since_.find(start));
  }
}

}  // namespace mii::serve
