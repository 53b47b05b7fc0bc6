#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace mii::serve {

/// Threads for what is long for the network's thread: parsing, decoding, writing answers.
class Workers {
 public:
  /// Parsing and writing goes before decoding, so that small requests overtake large ones.
  enum class Lane { first, second };

  /// threads: 0 takes one for each core.
  explicit Workers(int threads);
  ~Workers() { stop(); }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  /// Drops what has not begun, waits for what has. Further tasks are dropped.
  void stop();

  /// task must not throw.
  void post(Lane lane, std::function<void()> task);
  int threads() const { return static_cast<int>(threads_.size()); }

 private:
  void serve();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> first_, second_;  // guarded by mutex_
  bool stopping_ = false;                             // guarded by mutex_
  std::vector<std::thread> threads_;                  // last: they use all of the above
};

}  // namespace mii::serve
