#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <thread>

namespace mii {

/// The one thread that computes. OpenMP keeps a team of threads for each thread that opens parallel regions;
/// with all of them opened here there is one team, however many threads call the engine.
class ComputeThread {
 public:
  /// threads: of the OpenMP team; OMP_THREAD_LIMIT may make them fewer.
  explicit ComputeThread(int threads);
  /// Finishes what is queued.
  ~ComputeThread();
  ComputeThread(const ComputeThread&) = delete;
  ComputeThread& operator=(const ComputeThread&) = delete;

  /// Runs work there, after what others have asked for before, and returns when it is done. Rethrows what it
  /// throws.
  void run(const std::function<void()>& work);

 private:
  void serve(int threads);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::packaged_task<void()>> queue_;  // guarded by mutex_
  bool stopping_ = false;                         // guarded by mutex_
  std::thread thread_;                            // last: it uses all of the above
};

/// Cores that this process may run on; fewer where OMP_THREAD_LIMIT asks for it.
int available_cores();

}  // namespace mii
