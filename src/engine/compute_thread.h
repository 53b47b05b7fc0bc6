#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <thread>

namespace mii {

/// The one thread that computes, however many threads call the engine: a backend is called on one thread
/// only.
class ComputeThread {
 public:
  ComputeThread();
  /// Finishes what is queued.
  ~ComputeThread();
  ComputeThread(const ComputeThread&) = delete;
  ComputeThread& operator=(const ComputeThread&) = delete;

  /// Runs work on that thread after all work queued earlier, and returns when it is done. Rethrows its
  /// exception.
  void run(const std::function<void()>& work);
  /// The same, but does not wait; what work holds is let go on that thread. work must not throw.
  void post(std::function<void()> work);

 private:
  std::future<void> queue(std::function<void()> work);
  void serve();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::packaged_task<void()>> queue_;  // guarded by mutex_
  bool stopping_ = false;                         // guarded by mutex_
  std::thread thread_;                            // last: it uses all of the above
};

}  // namespace mii
