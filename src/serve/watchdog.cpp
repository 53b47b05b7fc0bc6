#include "serve/watchdog.h"

#include <atomic>

#include "mii/error.h"

namespace mii::serve {

using Clock = std::chrono::steady_clock;

struct Watchdog::Probe {
  std::atomic<bool> done = false;
  Clock::time_point start = Clock::now();
  std::shared_ptr<Job> job;
};

Watchdog::Watchdog(Encoder& encoder, const ServeOptions& options)
    : encoder_(encoder), options_(options), thread_([this] { serve(); }) {}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

std::string Watchdog::reason() const {
  Seconds silent = encoder_.computing_for();
  const std::lock_guard lock(mutex_);
  // A probe that waits behind real work is no sign of trouble while that work gets done.
  if (probe_ && !probe_->done)
    silent = std::max<Seconds>(silent, Clock::now() - std::max(probe_->start, encoder_.last_answer()));
  if (silent > options_.stuck_after)
    return "the engine has not answered for " + std::to_string(static_cast<long>(silent.count())) + " s";
  return failure_;
}

bool Watchdog::probe_is_due() const {
  if (probe_) return false;
  return !failure_.empty() || Clock::now() - encoder_.last_answer() >= options_.watchdog_interval;
}

void Watchdog::start_probe() {
  probe_ = std::make_shared<Probe>();
  probe_->job = encoder_.probe([probe = probe_] { probe->done = true; });
}

void Watchdog::serve() {
  const auto tick =
      std::chrono::duration_cast<Clock::duration>(std::min(options_.watchdog_interval / 4, Seconds(1)));
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (probe_ && probe_->done) {
      const auto& failure = probe_->job->failure();
      failure_ = failure ? "the engine fails: " + std::string(to_string(failure->code)) : "";
      probe_.reset();
    }
    if (probe_is_due()) start_probe();
    changed_.wait_for(lock, tick, [&] { return stopping_; });
  }
}

}  // namespace mii::serve
