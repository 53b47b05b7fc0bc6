#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "stats/binary.h"

namespace mii::heads {

/// By which rule a threshold on a label's probability is chosen.
struct PointRule {
  enum class Kind {
    youden,       ///< the largest sensitivity + specificity - 1
    f1,           ///< the largest F1 = 2 TP / (2 TP + FP + FN)
    sensitivity,  ///< the highest threshold whose sensitivity is at least `target`
    specificity,  ///< the lowest threshold whose specificity is at least `target`
    cost,         ///< the least cost, when a miss costs `target` false alarms
  };
  Kind kind = Kind::youden;
  double target = 0;
  std::string name = "youden";  ///< as parse takes it

  /// "youden", "f1", "sensitivity=0.95", "specificity=0.95", "cost=5". Throws Error{invalid_argument}.
  static PointRule parse(std::string_view text);
};

/// A threshold and what it does to the rows that it was chosen on: those whose probability is at least the
/// threshold are called positive.
struct OperatingPoint {
  std::string rule;
  float threshold = 0;
  stats::BinaryCounts counts;

  stats::Estimate sensitivity() const { return stats::wilson(counts.true_positives, counts.positives()); }
  stats::Estimate specificity() const { return stats::wilson(counts.true_negatives, counts.negatives()); }
};

/// Nothing when no threshold reaches the target, or only one that calls every row positive; or when there are
/// no positive or no negative rows.
std::optional<OperatingPoint> find_point(const PointRule& rule, std::span<const float> probabilities,
                                         const std::vector<bool>& positive);

}  // namespace mii::heads
