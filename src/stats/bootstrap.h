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

/// Figures that are asked for one by one and estimated on the same draws.
class JointFigures {
 public:
  /// A figure of the cases, each counted as often as `times` says. Runs on several threads at once.
  using Figure = std::function<double(Multiplicities times)>;

  /// Returns the figure's place in what estimate() gives.
  size_t add(Figure figure);
  /// The figure at `first` less the one at `second`, draw by draw.
  size_t add_difference(size_t first, size_t second);

  std::vector<Estimate> estimate(const Groups& groups, const BootstrapOptions& options) const;

 private:
  struct Entry {
    Figure figure;  // empty: a difference
    size_t first = 0, second = 0;
  };
  std::vector<Entry> entries_;
};

}  // namespace mii::stats
