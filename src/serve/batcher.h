#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "mii/error.h"
#include "mii/matrix.h"
#include "serve/job.h"

namespace mii::serve {

/// Gathers items of many requests into batches and computes them on threads of its own, oldest first.
/// A batch is computed when it is full, when nothing else is being decoded, or when its oldest item has
/// waited long enough.
template <typename Payload>
class Batcher {
 public:
  using Clock = std::chrono::steady_clock;
  using Compute = std::function<Matrix(std::span<const Payload>)>;
  /// Told after each batch: its size and seconds, and how long each of its items had waited.
  using Observer = std::function<void(size_t size, Seconds computed, std::span<const Seconds> waits)>;

  struct Options {
    Job::Kind kind = Job::Kind::image;
    size_t max_batch = 1;
    Seconds wait{};
    size_t threads = 1;  ///< batches that are computed at once
  };
  struct Item {
    std::shared_ptr<Job> job;
    size_t row = 0;
    Payload payload;
    Clock::time_point queued = Clock::now();
  };

  Batcher(Options options, Compute compute, Observer observer)
      : options_(options),
        compute_(std::move(compute)),
        observer_(std::move(observer)),
        computing_since_(options.threads) {
    for (size_t t = 0; t < options_.threads; ++t) threads_.emplace_back([this, t] { serve(t); });
  }
  /// Settles what is queued without computing it.
  ~Batcher() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
    for (Item& item : items_) item.job->fail({ErrorCode::cancelled, "the service is stopping", std::nullopt});
  }
  Batcher(const Batcher&) = delete;
  Batcher& operator=(const Batcher&) = delete;

  /// Announces n items in preparation, for which a batch waits. Each must then be pushed or forgotten.
  void expect(size_t n) {
    const std::lock_guard lock(mutex_);
    coming_ += n;
  }
  void forget() {
    {
      const std::lock_guard lock(mutex_);
      --coming_;
    }
    changed_.notify_all();
  }
  void push(Item item) {
    {
      const std::lock_guard lock(mutex_);
      --coming_;
      items_.push_back(std::move(item));
    }
    changed_.notify_all();
  }

  size_t queued() const {
    const std::lock_guard lock(mutex_);
    return items_.size();
  }
  /// How long the oldest current computation has been running; zero when there is none.
  Seconds computing_for() const {
    const std::lock_guard lock(mutex_);
    Seconds longest = Seconds::zero();
    for (const auto& since : computing_since_)
      if (since) longest = std::max(longest, Seconds(Clock::now() - *since));
    return longest;
  }

 private:
  void serve(size_t thread) {
    for (;;) {
      std::vector<Item> batch = next(thread);
      if (batch.empty()) return;
      run(batch, thread);
    }
  }

  std::vector<Item> next(size_t thread) {
    std::unique_lock lock(mutex_);
    std::vector<Item> batch;
    while (batch.empty()) {
      changed_.wait(lock, [&] { return stopping_ || !items_.empty(); });
      if (stopping_) return {};
      const auto until = items_.front().queued + std::chrono::duration_cast<Clock::duration>(options_.wait);
      changed_.wait_until(lock, until,
                          [&] { return stopping_ || items_.size() >= options_.max_batch || coming_ == 0; });
      if (stopping_) return {};
      std::vector<std::shared_ptr<Job>> dropped;
      while (!items_.empty() && batch.size() < options_.max_batch) {
        if (items_.front().job->cancelled())
          dropped.push_back(std::move(items_.front().job));
        else
          batch.push_back(std::move(items_.front()));
        items_.pop_front();
      }
      if (dropped.empty()) continue;
      lock.unlock();  // the last item of a job calls back
      for (const auto& job : dropped) job->drop();
      lock.lock();
    }
    computing_since_[thread] = Clock::now();
    return batch;
  }

  void run(std::vector<Item>& batch, size_t thread) {
    const auto start = Clock::now();
    std::vector<Payload> payloads;
    std::vector<Seconds> waits;
    for (Item& item : batch) {
      payloads.push_back(std::move(item.payload));
      waits.push_back(start - item.queued);
    }
    std::vector<Matrix> results(batch.size());
    std::vector<std::optional<Job::Failure>> failures(batch.size());
    compute_all(payloads, results, failures);
    const Seconds seconds = Clock::now() - start;
    {
      const std::lock_guard lock(mutex_);
      computing_since_[thread].reset();
    }
    observer_(batch.size(), seconds, waits);

    std::set<Job*> noted;
    for (size_t i = 0; i < batch.size(); ++i)
      batch[i].job->note_batch(options_.kind, waits[i],
                               noted.insert(batch[i].job.get()).second ? seconds : Seconds::zero());
    for (size_t i = 0; i < batch.size(); ++i) {
      if (failures[i])
        batch[i].job->fail(std::move(*failures[i]));
      else
        batch[i].job->set_row(options_.kind, batch[i].row, results[i].row(0));
    }
  }

  // When a batch fails, each item is tried alone: one request's input must not fail another's.
  void compute_all(std::span<const Payload> payloads, std::vector<Matrix>& results,
                   std::vector<std::optional<Job::Failure>>& failures) {
    try {
      const Matrix rows = compute_(payloads);
      for (size_t i = 0; i < payloads.size(); ++i) {
        results[i] = Matrix(1, rows.cols());
        std::ranges::copy(rows.row(i), results[i].row(0).begin());
      }
      return;
    } catch (const std::exception& error) {
      if (payloads.size() == 1) failures[0] = failure_of(error);
    }
    if (payloads.size() == 1) return;
    for (size_t i = 0; i < payloads.size(); ++i) {
      try {
        results[i] = compute_(payloads.subspan(i, 1));
      } catch (const std::exception& error) {
        failures[i] = failure_of(error);
      }
    }
  }

  static Job::Failure failure_of(const std::exception& error) {
    if (const auto* known = dynamic_cast<const Error*>(&error))
      return {known->code(), known->what(), std::nullopt};
    return {ErrorCode::internal, "out of memory or another failure of the machine", std::nullopt};
  }

  const Options options_;
  const Compute compute_;
  const Observer observer_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Item> items_;  // guarded by mutex_, as all below
  size_t coming_ = 0;
  bool stopping_ = false;
  std::vector<std::optional<Clock::time_point>> computing_since_;  // of each thread
  std::vector<std::thread> threads_;                               // last: they use all of the above
};

}  // namespace mii::serve
