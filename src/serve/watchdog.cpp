#include "serve/watchdog.h"

#include <algorithm>
#include <atomic>

#include "core/number_text.h"
#include "mii/error.h"

namespace mii::serve {
namespace {

using Clock = std::chrono::steady_clock;

std::string whole(Seconds seconds) { return std::to_string(static_cast<long>(seconds.count())) + " s"; }

}  // namespace

struct Watchdog::Probe {
  std::atomic<bool> done = false;
  Clock::time_point start = Clock::now();
  std::shared_ptr<Job> job;
};

Watchdog::Watchdog(Encoder& encoder, const Workers& workers, const ServeOptions& options, Log& log)
    : encoder_(encoder), workers_(workers), options_(options), log_(log), thread_([this] { serve(); }) {}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

std::string Watchdog::reason() const {
  const std::lock_guard lock(mutex_);
  return reason_now();
}

std::string Watchdog::reason_now() const {
  const std::vector<ModelDevice> devices = encoder_.model().devices();
  if (!devices.empty() && std::ranges::all_of(devices, &ModelDevice::lost))
    return "the device is lost: start the service again";
  const Seconds computing = encoder_.computing_for();
  if (computing > options_.stuck_after) return "the engine has not answered for " + whole(computing);
  const Seconds busy = workers_.busy_for();
  if (busy > options_.stuck_after) return "a worker has been busy with one task for " + whole(busy);
  if (probe_ && !probe_->done) {
    // One that waits behind real work is no sign of trouble while that work gets done.
    const auto progress = std::max({probe_->start, encoder_.last_answer(), workers_.last_done()});
    const Seconds silent = Clock::now() - progress;
    if (silent > options_.stuck_after)
      return "a request of the service to itself has waited for " + whole(silent);
  }
  return failure_;
}

bool Watchdog::probe_is_due() const {
  if (probe_) return false;
  return !failure_.empty() || Clock::now() - last_probe_ >= options_.watchdog_interval;
}

void Watchdog::start_probe() {
  probe_ = std::make_shared<Probe>();
  last_probe_ = probe_->start;
  // Another text each time: the vector of one that was asked before is remembered.
  probe_->job =
      encoder_.probe("probe " + std::to_string(++probes_), [probe = probe_] { probe->done = true; });
}

void Watchdog::read_probe() {
  const auto& failure = probe_->job->failure();
  failure_ = failure ? "the engine fails: " + std::string(to_string(failure->code)) : "";
  failure_detail_ = failure ? failure->message : "";
  probe_.reset();
}

// The detail is of the probe's own image and text: nothing of a user's.
void Watchdog::log_change() {
  const std::string reason = reason_now();
  if (reason.empty() == healthy_) return;
  healthy_ = reason.empty();
  if (healthy_)
    log_.write("info", "healthy");
  else
    log_.write("error", "unhealthy", {{"reason", json_text(reason)}, {"detail", json_text(failure_detail_)}});
}

void Watchdog::serve() {
  const auto tick =
      std::chrono::duration_cast<Clock::duration>(std::min(options_.watchdog_interval / 4, Seconds(1)));
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (probe_ && probe_->done) read_probe();
    if (probe_is_due()) start_probe();
    log_change();
    changed_.wait_for(lock, tick, [&] { return stopping_; });
  }
}

}  // namespace mii::serve
