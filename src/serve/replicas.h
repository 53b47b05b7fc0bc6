#pragma once

#include <algorithm>
#include <compare>
#include <cstddef>
#include <mutex>
#include <utility>
#include <vector>

#include "mii/error.h"

namespace mii::serve {

/// Equal things that compute, each on a device of its own. A call goes to the one with the fewest calls under
/// way, of several to that which had the fewest so far. One whose device was lost gets calls only when all
/// are lost, and what it was computing is computed by another. Safe to call from several threads, as the
/// things must be.
template <typename T>
class Replicas {
 public:
  /// One at least.
  explicit Replicas(std::vector<T> all) : all_(std::move(all)), states_(all_.size()) {}

  size_t size() const { return all_.size(); }
  const T& operator[](size_t i) const { return all_[i]; }
  bool is_lost(size_t i) const {
    const std::lock_guard lock(mutex_);
    return states_[i].lost;
  }

  /// f(one of them). Throws what f throws; Error{device_lost} when the last device is lost.
  template <typename F>
  auto use(const F& f) const {
    for (;;) {
      const Call call(*this);
      try {
        auto result = f(all_[call.which()]);
        call.note_lost(false);
        return result;
      } catch (const Error& error) {
        if (error.code() != ErrorCode::device_lost || !call.note_lost(true)) throw;
      }
    }
  }

 private:
  // In the order in which calls prefer them.
  struct State {
    bool lost = false;
    size_t under_way = 0;
    size_t calls = 0;
    auto operator<=>(const State&) const = default;
  };

  class Call {
   public:
    explicit Call(const Replicas& all) : all_(all) {
      const std::lock_guard lock(all_.mutex_);
      const auto chosen = std::ranges::min_element(all_.states_);
      which_ = static_cast<size_t>(chosen - all_.states_.begin());
      ++chosen->under_way;
      ++chosen->calls;
    }
    ~Call() {
      const std::lock_guard lock(all_.mutex_);
      --all_.states_[which_].under_way;
    }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

    size_t which() const { return which_; }
    /// Whether another one is not lost.
    bool note_lost(bool lost) const {
      const std::lock_guard lock(all_.mutex_);
      all_.states_[which_].lost = lost;
      return std::ranges::any_of(all_.states_, [](const State& state) { return !state.lost; });
    }

   private:
    const Replicas& all_;
    size_t which_ = 0;
  };

  std::vector<T> all_;
  mutable std::mutex mutex_;
  mutable std::vector<State> states_;  // guarded by mutex_
};

}  // namespace mii::serve
