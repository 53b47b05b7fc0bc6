#pragma once

#include <boost/json.hpp>
#include <vector>

#include "stats/binary.h"
#include "stats/calibration.h"
#include "stats/decision_curve.h"
#include "stats/delong.h"
#include "stats/regression.h"

namespace mii::stats {

inline std::vector<float> floats(const boost::json::value& list) {
  std::vector<float> values;
  for (const auto& v : list.as_array()) values.push_back(v.to_number<float>());
  return values;
}

/// Every figure that compare_with_packages.py computes with packages, of one of its cases.
inline boost::json::object figures_of(const boost::json::object& input) {
  const std::vector<float> scores = floats(input.at("scores")), others = floats(input.at("others"));
  std::vector<bool> positive;
  for (const auto& v : input.at("positive").as_array()) positive.push_back(v.to_number<int>() != 0);
  const Groups groups = single_cases(scores.size());
  const RankedScores ranked(scores, positive);
  const std::vector<Cut> cuts = ranked.cuts();
  boost::json::object figures;

  figures["auc"] = ranked.auc();
  figures["average_precision"] = ranked.average_precision();
  boost::json::array roc, pr;
  for (const Cut& cut : cuts) roc.push_back({1 - cut.counts.specificity(), cut.counts.sensitivity()});
  for (auto cut = cuts.rbegin(); cut + 1 != cuts.rend(); ++cut)
    pr.push_back({cut->counts.sensitivity(), cut->counts.precision()});
  figures["roc"] = roc;
  figures["precision_recall"] = pr;
  const BinaryCounts youden = youden_cut(cuts).counts;
  figures["youden"] = youden.sensitivity() + youden.specificity() - 1;

  const Estimate auc = delong_auc(scores, positive, groups);
  const DelongTest test = delong_test(scores, others, positive, groups);
  figures["auc_interval"] = {auc.low, auc.high};
  figures["delong_z"] = test.z;
  figures["delong_p"] = test.p;

  const BinaryCounts counts = ranked.counts_at(0.5);
  const Estimate sensitivity = wilson(counts.true_positives, counts.positives());
  const Estimate specificity = wilson(counts.true_negatives, counts.negatives());
  figures["sensitivity"] = {sensitivity.low, sensitivity.high};
  figures["specificity"] = {specificity.low, specificity.high};

  boost::json::array bins;
  for (const ReliabilityBin& bin : reliability(scores, positive))
    if (bin.cases > 0) bins.push_back({bin.mean_probability, bin.share_true});
  figures["reliability"] = bins;
  figures["ece"] = expected_calibration_error(reliability(scores, positive));
  figures["brier"] = brier_score(scores, positive);

  const double thresholds[] = {0.05, 0.25, 0.5, 0.75, 0.95};
  for (const auto& [name, prevalence] :
       {std::pair("net_benefit", counts.prevalence()), {"net_benefit_rare", 0.05}}) {
    boost::json::array curve;
    for (const NetBenefit& point : decision_curve(ranked, thresholds, prevalence))
      curve.push_back({point.model, point.treat_all});
    figures[name] = curve;
  }

  const RegressionErrors errors = regression_errors(scores, others);
  figures["regression"] = {errors.mae,  errors.rmse,      errors.r2,
                           errors.bias, errors.limit_low, errors.limit_high};
  return figures;
}

}  // namespace mii::stats
