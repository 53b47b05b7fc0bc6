#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "serve/encoder.h"
#include "serve/log.h"

namespace mii::serve {

/// Knows whether the service really answers: sends a tiny request of its own the way of all others now and
/// then, and watches how long a computation and a worker's task take. A change is logged.
class Watchdog {
 public:
  Watchdog(Encoder& encoder, const Workers& workers, const ServeOptions& options, Log& log);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  /// Empty while the service answers, else why it does not count as healthy.
  std::string reason() const;

 private:
  struct Probe;

  void serve();
  // With mutex_ held:
  std::string reason_now() const;
  bool probe_is_due() const;
  void start_probe();
  void read_probe();
  void log_change();

  Encoder& encoder_;
  const Workers& workers_;
  const ServeOptions& options_;
  Log& log_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<Probe> probe_;  // guarded by mutex_, as all below
  std::chrono::steady_clock::time_point last_probe_ = std::chrono::steady_clock::now();
  size_t probes_ = 0;
  std::string failure_, failure_detail_;  // of the last probe
  bool healthy_ = true;                   // as it was logged
  bool stopping_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace mii::serve
