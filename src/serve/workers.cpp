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
}

void Workers::post(Lane lane, std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    (lane == Lane::first ? first_ : second_).push_back(std::move(task));
  }
  changed_.notify_one();
}

void Workers::serve() {
#ifdef _OPENMP
  omp_set_num_threads(1);  // a resize here stays on this thread: no second team beside the engine's
#endif
  for (;;) {
    std::function<void()> task;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stopping_ || !first_.empty() || !second_.empty(); });
      if (stopping_) return;
      auto& lane = first_.empty() ? second_ : first_;
      task = std::move(lane.front());
      lane.pop_front();
    }
    task();
  }
}

}  // namespace mii::serve
