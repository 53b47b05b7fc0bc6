#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace mii::serve {

/// One JSON object a line, written by a thread of its own: a full disk or a stalled reader loses lines, never
/// requests. Lines hold what the service knows of a request, never what is in it.
class Log {
 public:
  /// Writes one line with its line break; false when it could not.
  using Sink = std::function<bool(std::string_view line)>;

  /// Opens the file anew that sink writes to. Throws Error when that cannot be done; sink then goes on with
  /// the old one.
  using Reopen = std::function<void()>;

  explicit Log(Sink sink, Reopen reopen = {});
  /// Writes what is queued.
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  /// fields: names and values that are JSON already (a number, or a text by json_text).
  void write(std::string_view level, std::string_view event,
             const std::vector<std::pair<std::string_view, std::string>>& fields = {});

  /// Opens the file anew after what is queued, on the log's thread: no line is lost. Says so in the log.
  void reopen();

  uint64_t dropped() const { return dropped_; }

 private:
  void serve();
  void reopen_now();

  const Sink sink_;
  const Reopen reopen_;
  std::atomic<uint64_t> dropped_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> lines_;  // guarded by mutex_
  bool must_reopen_ = false;       // guarded by mutex_
  bool stopping_ = false;          // guarded by mutex_
  std::thread thread_;             // last: it uses all of the above
};

}  // namespace mii::serve
