#include "stats/calibration.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "mii/error.h"

namespace mii::stats {
namespace {

void expect_probabilities(std::span<const float> probabilities, size_t cases) {
  if (probabilities.size() != cases)
    throw Error(ErrorCode::invalid_argument, std::to_string(probabilities.size()) + " probabilities for " +
                                                 std::to_string(cases) + " cases");
  const auto wrong = std::ranges::count_if(probabilities, [](float p) { return !(p >= 0 && p <= 1); });
  if (wrong > 0)
    throw Error(ErrorCode::invalid_argument, std::to_string(wrong) + " of " +
                                                 std::to_string(probabilities.size()) +
                                                 " probabilities are not numbers from 0 to 1");
}

}  // namespace

std::vector<ReliabilityBin> reliability(std::span<const float> probabilities,
                                        const std::vector<bool>& came_true, size_t bins,
                                        Multiplicities times) {
  expect_probabilities(probabilities, came_true.size());
  if (bins == 0) throw Error(ErrorCode::invalid_argument, "a reliability diagram has at least one bin");
  std::vector<ReliabilityBin> all(bins);
  for (size_t b = 0; b < bins; ++b) {
    all[b].low = static_cast<double>(b) / static_cast<double>(bins);
    all[b].high = static_cast<double>(b + 1) / static_cast<double>(bins);
  }
  for (size_t i = 0; i < probabilities.size(); ++i) {
    const double p = probabilities[i];
    ReliabilityBin& bin = *std::ranges::lower_bound(all, p, {}, &ReliabilityBin::high);
    const uint32_t n = multiplicity(times, i);
    bin.cases += n;
    bin.mean_probability += n * p;
    bin.share_true += came_true[i] ? n : 0;
  }
  for (ReliabilityBin& bin : all) {
    bin.mean_probability /= static_cast<double>(bin.cases);
    bin.share_true /= static_cast<double>(bin.cases);
  }
  return all;
}

double expected_calibration_error(std::span<const ReliabilityBin> bins) {
  double sum = 0, cases = 0;
  for (const ReliabilityBin& bin : bins) {
    if (bin.cases == 0) continue;
    sum += static_cast<double>(bin.cases) * std::abs(bin.mean_probability - bin.share_true);
    cases += static_cast<double>(bin.cases);
  }
  return cases == 0 ? NAN : sum / cases;
}

double brier_score(std::span<const float> probabilities, const std::vector<bool>& came_true,
                   Multiplicities times) {
  expect_probabilities(probabilities, came_true.size());
  double sum = 0, cases = 0;
  for (size_t i = 0; i < probabilities.size(); ++i) {
    const double miss = static_cast<double>(probabilities[i]) - (came_true[i] ? 1 : 0);
    const double n = multiplicity(times, i);
    sum += n * miss * miss;
    cases += n;
  }
  return cases == 0 ? NAN : sum / cases;
}

}  // namespace mii::stats
