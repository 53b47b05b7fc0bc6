#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "medical/frame.h"
#include "medical/window.h"

namespace mii {

/// Percentiles of real values, from frames that are given one after another, in memory that does not grow
/// with them. Padding and NaN are left out; infinite values too. Linear interpolation between ranks, as
/// numpy.percentile does by default. Exact while all frames hold integers under one rescale that span at most
/// 2^24 values; otherwise values are resolved to 1 / 65536 of the range, which add_range must have seen
/// before.
class ValueStatistics {
 public:
  /// First pass: the range of a frame's values.
  void add_range(const GreyFrame& frame);
  /// Second pass, after add_range of all frames: their distribution.
  void add_values(const GreyFrame& frame);

  /// Whether percentiles will be exact. Precondition: add_range of all frames.
  bool exact() const { return integers_; }
  /// How many stored values there are from the lowest to the highest. Precondition: exact().
  uint64_t span() const { return static_cast<uint64_t>(last_ - first_) + 1; }
  /// Lowest and highest value; {0, 0} without values.
  ValueRange range() const;
  /// The values at two percentiles, 0 to 100; {0, 0} without values. Precondition: add_values.
  ValueRange percentiles(double low, double high) const;

 private:
  double at(double percentile) const;
  double bin_value(size_t bin) const;

  bool any_ = false;
  bool integers_ = true;  ///< only frames of integers under the one rescale
  double slope_ = 1, intercept_ = 0;
  double low_ = 0, high_ = 0;     ///< real values
  int64_t first_ = 0, last_ = 0;  ///< stored values
  std::vector<uint64_t> counts_;  ///< of stored values, or of bins of real ones
  uint64_t total_ = 0;
};

/// The percentiles of one frame, exact for real values too.
ValueRange percentiles_of(const GreyFrame& frame, double low, double high);
/// Lowest and highest value of one frame.
ValueRange range_of(const GreyFrame& frame);

}  // namespace mii
