#pragma once

#include <span>
#include <vector>

#include "stats/binary.h"

namespace mii::stats {

/// What acting on a probability is worth, in true positives a person examined, to somebody who acts from a
/// probability of `threshold` on: threshold / (1 - threshold) false alarms cost as much as one true positive
/// gains.
struct NetBenefit {
  double threshold = 0;
  double model = 0;      ///< act where the probability is at least the threshold
  double treat_all = 0;  ///< act always; acting never is worth 0
};

/// model = prevalence sensitivity - (1 - prevalence)(1 - specificity) threshold / (1 - threshold).
/// prevalence: that of those whom it is for; ranked.counts_at(...).prevalence() is that of the cases.
/// thresholds in (0, 1). All NaN without positives or without negatives. Throws Error{invalid_argument} for
/// thresholds and prevalences outside (0, 1). Source: Vickers and Elkin, Med Decis Making 26 (2006) 565.
std::vector<NetBenefit> decision_curve(const RankedScores& ranked, std::span<const double> thresholds,
                                       double prevalence);

}  // namespace mii::stats
