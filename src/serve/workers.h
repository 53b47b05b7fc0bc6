#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "serve/options.h"

namespace mii::serve {

/// Threads for work that would block the network's thread: parsing, decoding, writing answers.
class Workers {
 public:
  /// Parsing and writing take precedence over decoding, so that small requests overtake large ones.
  enum class Lane { first, second };

  /// threads: 0 takes one for each core.
  explicit Workers(int threads);
  ~Workers() { stop(); }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  /// Drops what has not begun, waits for what has. Nothing may be posted any more.
  void stop();

  /// task must not throw.
  void post(Lane lane, std::function<void()> task);
  int threads() const { return static_cast<int>(threads_.size()); }

  /// How long the oldest of the tasks under way has been running; zero when there is none.
  Seconds busy_for() const;
  /// When a task last came to its end.
  std::chrono::steady_clock::time_point last_done() const;

 private:
  void serve();

  using Clock = std::chrono::steady_clock;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> first_, second_;  // guarded by mutex_, as all below
  std::multiset<Clock::time_point> running_since_;
  Clock::time_point last_done_ = Clock::now();
  bool stopping_ = false;
  std::vector<std::thread> threads_;  // last: they use all of the above
};

}  // namespace mii::serve
