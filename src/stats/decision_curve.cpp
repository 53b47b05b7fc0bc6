#include "stats/decision_curve.h"

#include <cmath>
#include <string>

#include "mii/error.h"

namespace mii::stats {
namespace {

void expect_inside(double value, const char* what) {
  if (!(value > 0 && value < 1))
    throw Error(ErrorCode::invalid_argument, std::string("a decision curve's ") + what +
                                                 " is above 0 and below 1, found " + std::to_string(value));
}

}  // namespace

std::vector<NetBenefit> decision_curve(const RankedScores& ranked, std::span<const double> thresholds,
                                       double prevalence) {
  expect_inside(prevalence, "prevalence");
  std::vector<NetBenefit> curve;
  for (const double threshold : thresholds) {
    expect_inside(threshold, "threshold");
    const BinaryCounts counts = ranked.counts_at(static_cast<float>(threshold));
    const double cost = (1 - prevalence) * threshold / (1 - threshold);
    curve.push_back({threshold, prevalence * counts.sensitivity() - cost * (1 - counts.specificity()),
                     counts.positives() == 0 || counts.negatives() == 0 ? NAN : prevalence - cost});
  }
  return curve;
}

}  // namespace mii::stats
