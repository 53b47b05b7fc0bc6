#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "stats/estimate.h"

namespace mii::stats {

/// What a threshold makes of cases whose truth is known: those with a score of at least the threshold are
/// called positive. Shares are NaN where there is nothing to take them of.
struct BinaryCounts {
  size_t true_positives = 0;
  size_t false_positives = 0;
  size_t false_negatives = 0;
  size_t true_negatives = 0;

  size_t positives() const { return true_positives + false_negatives; }
  size_t negatives() const { return false_positives + true_negatives; }
  size_t cases() const { return positives() + negatives(); }

  double sensitivity() const;  ///< of the positives, those called positive
  double specificity() const;  ///< of the negatives, those called negative
  double precision() const;    ///< of those called positive, the positives; NaN when none is called positive
  double prevalence() const;   ///< of all cases, the positives
};

/// A threshold and what it makes of the cases.
struct Cut {
  float threshold = 0;
  BinaryCounts counts;
};

/// The 95 % interval of a share `hits` of `cases`; NaN for no cases. Within [0, 1], and of use at 0 and 1
/// too. Source: Wilson, J Am Stat Assoc 22 (1927) 209; the score interval without correction for continuity.
Estimate wilson(size_t hits, size_t cases);

/// What a call means to a patient when a share `prevalence` of those examined is positive (Bayes):
/// the share of positives among those called positive, and of negatives among those called negative.
/// NaN where sensitivity or specificity is, and where nobody would be called so.
/// Throw Error{invalid_argument} unless 0 < prevalence < 1: at either end there is nothing to predict.
double positive_predictive_value(double sensitivity, double specificity, double prevalence);
double negative_predictive_value(double sensitivity, double specificity, double prevalence);

/// Cases of two classes with their scores, sorted once, so that every figure is one pass, also over a
/// bootstrap draw. Tied scores are passed together, so that figures are exact.
class RankedScores {
 public:
  /// scores [n], positive [n]. Throws Error{invalid_argument} for scores that are not finite or sizes that
  /// differ.
  RankedScores(std::span<const float> scores, const std::vector<bool>& positive);

  /// Area under the ROC curve: the chance that a positive scores above a negative, a tie counting half.
  /// NaN without positives or without negatives. Source: Mann and Whitney; Hanley and McNeil, Radiology 143
  /// (1982) 29.
  double auc(Multiplicities times = {}) const;

  /// Area under the precision-recall curve: the sum over thresholds of (R_i - R_(i-1)) P_i, without
  /// interpolation. A score that knows nothing has the share of positives. NaN without positives. Source:
  /// scikit-learn's average_precision_score.
  double average_precision(Multiplicities times = {}) const;

  /// What a threshold makes of the cases.
  BinaryCounts counts_at(float threshold, Multiplicities times = {}) const;

  /// Every distinct score as a threshold, from +infinity (nobody is called positive) down to the lowest score
  /// (everybody is). ROC curve: (1 - specificity, sensitivity). Precision-recall curve: (sensitivity,
  /// precision).
  std::vector<Cut> cuts() const;

 private:
  template <typename Visit>
  void for_each_score(Multiplicities times, const Visit& visit) const;

  std::vector<uint32_t> order_;  // cases by falling score
  std::vector<float> scores_;    // in that order
  std::vector<char> positive_;   // in that order
};

/// The cuts at which the ROC curve turns: the same curve of fewer points, which is its drawing.
std::vector<Cut> corners(const std::vector<Cut>& cuts);

/// The cut with the largest sensitivity + specificity - 1; of several, the highest threshold. It is a score
/// that occurs, or +infinity where no threshold is better than chance. Throws Error{invalid_argument} without
/// positives or without negatives. Source: Youden, Cancer 3 (1950) 32.
Cut youden_cut(const std::vector<Cut>& cuts);

}  // namespace mii::stats
