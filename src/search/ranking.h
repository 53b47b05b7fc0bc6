#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

namespace mii::search {

/// Keeps what may be among the k best of rows whose scores are known to lie between two bounds: every row
/// whose upper bound reaches the k-th largest lower bound. Rows with equal scores at the end all stay, so
/// that what is kept does not depend on the order in which rows are offered.
class Ranking {
 public:
  struct Candidate {
    float lower;
    float upper;
    uint32_t row;
  };

  explicit Ranking(size_t k) : k_(k), limit_(2 * k + 1024) {}

  /// A row whose bounds are NaN is no candidate.
  void offer(float lower, float upper, uint32_t row) {
    if (!(upper >= threshold_)) return;
    candidates_.push_back({lower >= -kInfinity ? lower : -kInfinity, upper, row});
    if (candidates_.size() < limit_) return;
    prune();
    limit_ = 2 * candidates_.size() + 1024;
  }

  void take(const Ranking& other) {
    for (const Candidate& c : other.candidates_) offer(c.lower, c.upper, c.row);
  }

  /// In ascending order of their rows.
  std::vector<Candidate> finish() {
    prune();
    std::ranges::sort(candidates_, {}, &Candidate::row);
    return std::move(candidates_);
  }

 private:
  static constexpr float kInfinity = std::numeric_limits<float>::infinity();

  void prune() {
    if (candidates_.size() <= k_) return;
    lowers_.clear();
    for (const Candidate& c : candidates_) lowers_.push_back(c.lower);
    const auto kth = lowers_.begin() + static_cast<std::ptrdiff_t>(k_ - 1);
    std::ranges::nth_element(lowers_, kth, std::greater());
    threshold_ = *kth;
    std::erase_if(candidates_, [&](const Candidate& c) { return c.upper < threshold_; });
  }

  size_t k_;
  size_t limit_;
  float threshold_ = -kInfinity;
  std::vector<Candidate> candidates_;
  std::vector<float> lowers_;
};

}  // namespace mii::search
