#include "engine/compute_thread.h"

#ifdef _OPENMP
#include <omp.h>
#endif

#include <algorithm>
#include <utility>

namespace mii {

ComputeThread::ComputeThread(int threads) : thread_([this, threads] { serve(threads); }) {}

ComputeThread::~ComputeThread() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void ComputeThread::run(const std::function<void()>& work) {
  std::packaged_task<void()> task(work);
  std::future<void> done = task.get_future();
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(task));
  }
  changed_.notify_one();
  done.get();
}

void ComputeThread::serve([[maybe_unused]] int threads) {
#ifdef _OPENMP
  // The work is cut for a team of this size: a smaller one would leave parts of it undone.
  omp_set_dynamic(0);
  omp_set_num_threads(std::min(threads, omp_get_thread_limit()));
#endif
  for (;;) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    std::packaged_task<void()> task = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    task();
  }
}

int available_cores() {
#ifdef _OPENMP
  return std::min(omp_get_num_procs(), omp_get_thread_limit());
#else
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
#endif
}

}  // namespace mii
