#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "stats/estimate.h"
#include "stats/groups.h"

namespace mii::stats {

struct BootstrapOptions {
  size_t resamples = 1000;
  uint64_t seed = 1;  ///< equal seeds give equal draws of equal groups
};

/// Writes its figures of the cases, each counted as often as `times` says (empty: once).
/// Runs on several threads at once.
using Figures = std::function<void(Multiplicities times, std::span<double> figures)>;

/// Estimates several figures on the same draws: their values over all cases, and the percentiles 2.5 and 97.5
/// over draws of whole groups (patients) with replacement, because images of one patient are not independent.
/// Draws for which a figure is NaN are left out of its interval. A difference of two figures is a figure of
/// its own: its interval is paired. Throws what `of` throws. Source: Efron and Tibshirani, An Introduction to
/// the Bootstrap, 1993, chapter 13.
std::vector<Estimate> bootstrap(const Groups& groups, size_t figures, const BootstrapOptions& options,
                                const Figures& of);

}  // namespace mii::stats
