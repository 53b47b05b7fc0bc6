#include "medical/value_range.h"

#include <algorithm>
#include <cmath>

namespace mii {
namespace {

constexpr int64_t kMaxExactValues = 1 << 24;
constexpr size_t kBins = 65536;

template <typename Visit>
void for_each_value(const GreyFrame& frame, const Visit& visit) {
  for (const int32_t stored : frame.integers)
    if (const double value = frame.slope * stored + frame.intercept;
        !frame.is_padding(stored) && std::isfinite(value))
      visit(value, stored);
  for (const double value : frame.reals)
    if (std::isfinite(value)) visit(value, 0);
}

// numpy's interpolation between two ranks.
double between(double below, double above, double share) {
  const double difference = above - below;
  if (std::isinf(difference)) return below * (1 - share) + above * share;
  return share < 0.5 ? below + difference * share : above - difference * (1 - share);
}

}  // namespace

void ValueStatistics::add_range(const GreyFrame& frame) {
  if (any_ && (frame.slope != slope_ || frame.intercept != intercept_)) integers_ = false;
  if (frame.integers.empty()) integers_ = false;
  slope_ = frame.slope;
  intercept_ = frame.intercept;
  for_each_value(frame, [&](double value, int32_t stored) {
    low_ = any_ ? std::min(low_, value) : value;
    high_ = any_ ? std::max(high_, value) : value;
    first_ = any_ ? std::min<int64_t>(first_, stored) : stored;
    last_ = any_ ? std::max<int64_t>(last_, stored) : stored;
    any_ = true;
  });
  if (last_ - first_ >= kMaxExactValues) integers_ = false;
}

void ValueStatistics::add_values(const GreyFrame& frame) {
  counts_.resize(integers_ ? static_cast<size_t>(last_ - first_ + 1) : kBins);
  // Halves: the whole difference of two doubles may be infinite.
  const double scale = high_ > low_ ? (kBins - 1) / (high_ / 2 - low_ / 2) : 0;
  for_each_value(frame, [&](double value, int32_t stored) {
    const size_t bin = integers_ ? static_cast<size_t>(stored - first_)
                                 : static_cast<size_t>(std::lround((value / 2 - low_ / 2) * scale));
    ++counts_[std::min(bin, counts_.size() - 1)];
    ++total_;
  });
}

ValueRange ValueStatistics::range() const { return {low_, high_}; }

ValueRange ValueStatistics::percentiles(double low, double high) const {
  if (total_ == 0) return {0, 0};
  return {at(low), at(high)};
}

double ValueStatistics::bin_value(size_t bin) const {
  if (integers_) return slope_ * static_cast<double>(first_ + static_cast<int64_t>(bin)) + intercept_;
  const double share = static_cast<double>(bin) / (kBins - 1);
  return low_ * (1 - share) + high_ * share;
}

double ValueStatistics::at(double percentile) const {
  // Counted from the lowest real value: a negative slope reverses the order of the stored values.
  const bool reversed = integers_ && slope_ < 0;
  const double rank = percentile / 100 * static_cast<double>(total_ - 1);
  const auto below_rank = static_cast<uint64_t>(rank);
  double below = 0;
  bool have_below = false;
  uint64_t seen = 0;
  for (size_t i = 0; i < counts_.size(); ++i) {
    const size_t bin = reversed ? counts_.size() - 1 - i : i;
    seen += counts_[bin];
    if (!have_below && seen > below_rank) {
      below = bin_value(bin);
      have_below = true;
    }
    if (seen > std::min(below_rank + 1, total_ - 1))
      return between(below, bin_value(bin), rank - static_cast<double>(below_rank));
  }
  return below;
}

ValueRange percentiles_of(const GreyFrame& frame, double low, double high) {
  ValueStatistics statistics;
  statistics.add_range(frame);
  // A few values far apart are sooner put in order than counted.
  if (statistics.exact() && statistics.span() <= std::max(kBins, 4 * frame.integers.size())) {
    statistics.add_values(frame);
    return statistics.percentiles(low, high);
  }
  std::vector<double> values;
  values.reserve(frame.integers.size() + frame.reals.size());
  for_each_value(frame, [&](double value, int32_t) { values.push_back(value); });
  if (values.empty()) return {0, 0};
  const auto at = [&](double percentile) {
    const double rank = percentile / 100 * static_cast<double>(values.size() - 1);
    const auto below = values.begin() + static_cast<std::ptrdiff_t>(rank);
    std::nth_element(values.begin(), below, values.end());
    const double share = rank - std::floor(rank);
    if (below + 1 == values.end()) return *below;
    return between(*below, *std::min_element(below + 1, values.end()), share);
  };
  return {at(low), at(high)};
}

ValueRange range_of(const GreyFrame& frame) {
  ValueStatistics statistics;
  statistics.add_range(frame);
  return statistics.range();
}

}  // namespace mii
