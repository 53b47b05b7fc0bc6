#pragma once

#include <span>
#include <vector>

#include "stats/estimate.h"
#include "stats/groups.h"

namespace mii::stats {

/// AUC with the interval of DeLong, AUC +- 1.96 standard errors within [0, 1]. Where groups hold several
/// cases the standard error counts groups, not cases (Obuchowski); with single_cases it is DeLong's. scores
/// [n], positive [n], groups of n cases. NaN with less than two groups that have positives or that have
/// negatives. Positives all above negatives give an interval without a width: it says nothing then.
/// Throws Error{invalid_argument} as RankedScores does.
/// Sources: DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988) 837; Obuchowski, Biometrics 53 (1997)
/// 567; Sun and Xu, IEEE Signal Process Lett 21 (2014) 1389 for the order n log n.
Estimate delong_auc(std::span<const float> scores, const std::vector<bool>& positive, const Groups& groups);

/// Two scores of the same cases.
struct DelongTest {
  Estimate difference;  ///< AUC of the first less that of the second
  double z = 0;         ///< difference / standard error
  double p = 1;         ///< two-sided
};

/// The paired test of DeLong for the same cases, grouped as above. Scores that rank equally have z = 0, p =
/// 1; all NaN where delong_auc has no interval.
DelongTest delong_test(std::span<const float> first, std::span<const float> second,
                       const std::vector<bool>& positive, const Groups& groups);

}  // namespace mii::stats
