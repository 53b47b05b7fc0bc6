#include "stats/binary.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include "mii/error.h"

namespace mii::stats {
namespace {

double share(size_t part, size_t whole) {
  return whole == 0 ? NAN : static_cast<double>(part) / static_cast<double>(whole);
}

void expect_prevalence(double prevalence) {
  if (!(prevalence > 0 && prevalence < 1))
    throw Error(ErrorCode::invalid_argument,
                "a prevalence is above 0 and below 1, found " + std::to_string(prevalence));
}

// a / (a + b)
double predictive_value(double a, double b) { return a + b > 0 ? a / (a + b) : NAN; }

}  // namespace

double BinaryCounts::sensitivity() const { return share(true_positives, positives()); }
double BinaryCounts::specificity() const { return share(true_negatives, negatives()); }
double BinaryCounts::precision() const { return share(true_positives, true_positives + false_positives); }
double BinaryCounts::prevalence() const { return share(positives(), cases()); }

Estimate wilson(size_t hits, size_t cases) {
  if (cases == 0) return {};
  const double n = static_cast<double>(cases), p = static_cast<double>(hits) / n;
  const double z2 = kNormal975 * kNormal975;
  const double centre = (p + z2 / (2 * n)) / (1 + z2 / n);
  const double half = kNormal975 * std::sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n);
  // At the ends the interval touches 0 and 1; rounding may miss them.
  return {p, hits == 0 ? 0 : centre - half, hits == cases ? 1 : centre + half};
}

double positive_predictive_value(double sensitivity, double specificity, double prevalence) {
  expect_prevalence(prevalence);
  return predictive_value(sensitivity * prevalence, (1 - specificity) * (1 - prevalence));
}

double negative_predictive_value(double sensitivity, double specificity, double prevalence) {
  expect_prevalence(prevalence);
  return predictive_value(specificity * (1 - prevalence), (1 - sensitivity) * prevalence);
}

RankedScores::RankedScores(std::span<const float> scores, const std::vector<bool>& positive)
    : order_(scores.size()) {
  if (scores.size() != positive.size())
    throw Error(ErrorCode::invalid_argument,
                std::to_string(scores.size()) + " scores for " + std::to_string(positive.size()) + " cases");
  const auto wrong = std::ranges::count_if(scores, [](float s) { return !std::isfinite(s); });
  if (wrong > 0)
    throw Error(ErrorCode::invalid_argument, std::to_string(wrong) + " of " + std::to_string(scores.size()) +
                                                 " scores are not finite numbers");
  std::iota(order_.begin(), order_.end(), 0);
  std::ranges::sort(order_, [&](uint32_t a, uint32_t b) { return scores[a] > scores[b]; });
  for (const uint32_t i : order_) {
    scores_.push_back(scores[i]);
    positive_.push_back(positive[i] ? 1 : 0);
  }
}

// visit(score, positives, negatives) for each distinct score that counts, falling.
template <typename Visit>
void RankedScores::for_each_score(Multiplicities times, const Visit& visit) const {
  for (size_t i = 0; i < order_.size();) {
    const float score = scores_[i];
    size_t here[2] = {0, 0};
    for (; i < order_.size() && scores_[i] == score; ++i)
      here[static_cast<size_t>(positive_[i])] += multiplicity(times, order_[i]);
    if (here[0] + here[1] > 0) visit(score, here[1], here[0]);
  }
}

double RankedScores::auc(Multiplicities times) const {
  double above = 0, negatives = 0, pairs = 0;  // above: positives with a higher score
  for_each_score(times, [&](float, size_t p, size_t n) {
    pairs += static_cast<double>(n) * (above + static_cast<double>(p) / 2);
    above += static_cast<double>(p);
    negatives += static_cast<double>(n);
  });
  return above == 0 || negatives == 0 ? NAN : pairs / (above * negatives);
}

double RankedScores::average_precision(Multiplicities times) const {
  double called = 0, right = 0, sum = 0;
  for_each_score(times, [&](float, size_t p, size_t n) {
    called += static_cast<double>(p + n);
    right += static_cast<double>(p);
    sum += static_cast<double>(p) * right / called;
  });
  return right == 0 ? NAN : sum / right;
}

BinaryCounts RankedScores::counts_at(float threshold, Multiplicities times) const {
  BinaryCounts counts;
  for_each_score(times, [&](float score, size_t p, size_t n) {
    const bool called = score >= threshold;
    (called ? counts.true_positives : counts.false_negatives) += p;
    (called ? counts.false_positives : counts.true_negatives) += n;
  });
  return counts;
}

std::vector<Cut> RankedScores::cuts() const {
  constexpr float kNobody = std::numeric_limits<float>::infinity();
  Cut cut{kNobody, counts_at(kNobody)};
  std::vector<Cut> all{cut};
  for_each_score({}, [&](float score, size_t p, size_t n) {
    cut.threshold = score;
    cut.counts.true_positives += p;
    cut.counts.false_negatives -= p;
    cut.counts.false_positives += n;
    cut.counts.true_negatives -= n;
    all.push_back(cut);
  });
  return all;
}

std::vector<Cut> corners(const std::vector<Cut>& cuts) {
  std::vector<Cut> turning;
  // Twice the area of the triangle of three points: 0 where they are in one line.
  const auto straight = [](const BinaryCounts& a, const BinaryCounts& b, const BinaryCounts& c) {
    return (b.true_positives - a.true_positives) * (c.false_positives - b.false_positives) ==
           (c.true_positives - b.true_positives) * (b.false_positives - a.false_positives);
  };
  for (size_t i = 0; i < cuts.size(); ++i)
    if (i == 0 || i + 1 == cuts.size() ||
        !straight(turning.back().counts, cuts[i].counts, cuts[i + 1].counts))
      turning.push_back(cuts[i]);
  return turning;
}

Cut youden_cut(const std::vector<Cut>& cuts) {
  if (cuts.empty() || cuts.front().counts.positives() == 0 || cuts.front().counts.negatives() == 0)
    throw Error(ErrorCode::invalid_argument, "a threshold cannot be chosen: the cases are of one class only");
  // Youden's index times positives and negatives: exact, so that ties are ties.
  const auto index = [](const Cut& cut) {
    const BinaryCounts& c = cut.counts;
    return static_cast<double>(c.true_positives) * static_cast<double>(c.negatives()) -
           static_cast<double>(c.false_positives) * static_cast<double>(c.positives());
  };
  return *std::ranges::max_element(cuts, {}, index);
}

}  // namespace mii::stats
