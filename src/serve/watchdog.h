#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "serve/encoder.h"

namespace mii::serve {

/// Knows whether the engine really answers: asks an idle one for a vector now and then, and watches how long
/// a computation takes.
class Watchdog {
 public:
  Watchdog(Encoder& encoder, const ServeOptions& options);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  /// Empty while the engine answers, else why it does not count as healthy.
  std::string reason() const;

 private:
  struct Probe;

  void serve();
  bool probe_is_due() const;
  void start_probe();

  Encoder& encoder_;
  const ServeOptions& options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<Probe> probe_;  // guarded by mutex_, as all below
  std::string failure_;
  bool stopping_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace mii::serve
