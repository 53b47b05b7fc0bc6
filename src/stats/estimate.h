#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

namespace mii::stats {

/// A figure and its 95 % confidence interval; NaN where it is not defined.
struct Estimate {
  double value = std::numeric_limits<double>::quiet_NaN();
  double low = std::numeric_limits<double>::quiet_NaN();
  double high = std::numeric_limits<double>::quiet_NaN();
};

/// The standard normal quantile of 97.5 %.
constexpr double kNormal975 = 1.959963984540054;

/// How often each case counts, as in a bootstrap draw. Empty: each once.
using Multiplicities = std::span<const uint32_t>;

inline uint32_t multiplicity(Multiplicities times, size_t i) { return times.empty() ? 1 : times[i]; }

}  // namespace mii::stats
