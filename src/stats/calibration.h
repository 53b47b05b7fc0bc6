#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "stats/estimate.h"

namespace mii::stats {

/// Of the cases whose probability lies in (low, high], the first bin having 0 too: what was said, and what
/// was true.
struct ReliabilityBin {
  double low = 0;
  double high = 0;
  size_t cases = 0;
  double mean_probability = 0;  ///< NaN without cases
  double share_true = 0;        ///< NaN without cases
};

/// Bins of equal width over [0, 1]: a reliability diagram. probabilities [n], came_true [n]: whether what the
/// probability is of came true. Throws Error{invalid_argument} for probabilities outside [0, 1] or not
/// numbers, sizes that differ, or no bins. Source: DeGroot and Fienberg, The Statistician 32 (1983) 12;
/// scikit-learn's calibration_curve.
std::vector<ReliabilityBin> reliability(std::span<const float> probabilities,
                                        const std::vector<bool>& came_true, size_t bins = 10,
                                        Multiplicities times = {});

/// Expected calibration error: the mean over the cases of |said - true| of their bin, in [0, 1]. NaN without
/// cases. Source: Naeini, Cooper and Hauskrecht, AAAI 2015; Guo et al., ICML 2017.
double expected_calibration_error(std::span<const ReliabilityBin> bins);

/// Brier score: the mean squared difference of a probability from what came true (1 or 0), in [0, 1]; always
/// saying one half has 0.25. NaN without cases. Throws as reliability does.
/// Source: Brier, Mon Weather Rev 78 (1950) 1, halved for two classes as is usual.
double brier_score(std::span<const float> probabilities, const std::vector<bool>& came_true,
                   Multiplicities times = {});

}  // namespace mii::stats
