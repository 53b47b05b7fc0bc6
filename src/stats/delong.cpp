#include "stats/delong.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "mii/error.h"
#include "stats/binary.h"

namespace mii::stats {
namespace {

// The placement of each case: of a positive, the share of negatives below it; of a negative, the share of
// positives above it; ties count half. The mean over either class is the AUC.
std::vector<double> placements(std::span<const float> scores, const std::vector<bool>& positive) {
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, [&](size_t a, size_t b) { return scores[a] < scores[b]; });
  const auto total = static_cast<double>(std::ranges::count(positive, true));
  const double negatives = static_cast<double>(positive.size()) - total;
  std::vector<double> placed(scores.size());
  double p_below = 0, n_below = 0;
  for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    double p = 0, n = 0;
    for (; end < order.size() && scores[order[end]] == scores[order[begin]]; ++end)
      (positive[order[end]] ? p : n) += 1;
    for (size_t i = begin; i < end; ++i)
      placed[order[i]] =
          positive[order[i]] ? (n_below + n / 2) / negatives : (total - p_below - p / 2) / total;
    p_below += p;
    n_below += n;
  }
  return placed;
}

// The variance of the mean of the placements less `centre`, by groups: Obuchowski's S10 / m + S01 / n +
// 2 S11 / (m n). NaN with less than two groups of a class.
double variance(std::span<const double> placed, const std::vector<bool>& positive, const Groups& groups,
                double centre) {
  struct Sum {
    double p = 0, n = 0;  // of what the placements of positives and negatives exceed the centre by
    bool has_p = false, has_n = false;
  };
  std::vector<Sum> sums(groups.count);
  double m = 0, n = 0;
  for (size_t i = 0; i < placed.size(); ++i) {
    Sum& sum = sums[groups.of_case[i]];
    (positive[i] ? sum.p : sum.n) += placed[i] - centre;
    (positive[i] ? sum.has_p : sum.has_n) = true;
    (positive[i] ? m : n) += 1;
  }
  double pp = 0, nn = 0, pn = 0, with_p = 0, with_n = 0;
  for (const Sum& sum : sums) {
    pp += sum.p * sum.p;
    nn += sum.n * sum.n;
    pn += sum.p * sum.n;
    with_p += sum.has_p ? 1 : 0;
    with_n += sum.has_n ? 1 : 0;
  }
  if (with_p < 2 || with_n < 2) return NAN;
  const double all = static_cast<double>(groups.count);
  return std::max(0.0, with_p / (with_p - 1) * pp / (m * m) + with_n / (with_n - 1) * nn / (n * n) +
                           2 * all / (all - 1) * pn / (m * n));
}

void expect_cases(size_t scores, const Groups& groups) {
  if (groups.of_case.size() != scores)
    throw Error(ErrorCode::invalid_argument, std::to_string(scores) + " scores for groups of " +
                                                 std::to_string(groups.of_case.size()) + " cases");
}

}  // namespace

Estimate delong_auc(std::span<const float> scores, const std::vector<bool>& positive, const Groups& groups) {
  expect_cases(scores.size(), groups);
  const double auc = RankedScores(scores, positive).auc();
  if (std::isnan(auc)) return {};
  const double half = kNormal975 * std::sqrt(variance(placements(scores, positive), positive, groups, auc));
  if (std::isnan(half)) return {auc, NAN, NAN};
  return {auc, std::max(0.0, auc - half), std::min(1.0, auc + half)};
}

DelongTest delong_test(std::span<const float> first, std::span<const float> second,
                       const std::vector<bool>& positive, const Groups& groups) {
  expect_cases(first.size(), groups);
  const double difference = RankedScores(first, positive).auc() - RankedScores(second, positive).auc();
  if (std::isnan(difference)) return {{}, NAN, NAN};
  std::vector<double> placed = placements(first, positive);
  const std::vector<double> others = placements(second, positive);
  for (size_t i = 0; i < placed.size(); ++i) placed[i] -= others[i];
  const double error = std::sqrt(variance(placed, positive, groups, difference));
  if (std::isnan(error)) return {{difference, NAN, NAN}, NAN, NAN};
  const double z = difference == 0 ? 0 : difference / error;
  return {{difference, difference - kNormal975 * error, difference + kNormal975 * error},
          z,
          std::erfc(std::abs(z) / std::sqrt(2.0))};
}

}  // namespace mii::stats
