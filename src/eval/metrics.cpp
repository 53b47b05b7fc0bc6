#include "eval/metrics.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <random>

namespace mii {
namespace {

std::vector<float> column(const Matrix& m, size_t c) {
  std::vector<float> values(m.rows());
  for (size_t r = 0; r < m.rows(); ++r) values[r] = m.row(r)[c];
  return values;
}

Matrix unit_rows(const Matrix& m) {
  Matrix unit = m.clone();
  for (size_t r = 0; r < unit.rows(); ++r) {
    double squares = 0;
    for (const float v : unit.row(r)) squares += static_cast<double>(v) * v;
    const auto scale = static_cast<float>(1 / std::sqrt(std::max(squares, 1e-30)));
    for (float& v : unit.row(r)) v *= scale;
  }
  return unit;
}

float dot(std::span<const float> a, std::span<const float> b) {
  float sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace

double top_k_accuracy(const Matrix& scores, std::span<const size_t> truth, size_t k) {
  size_t right = 0;
  for (size_t r = 0; r < scores.rows(); ++r) {
    const auto row = scores.row(r);
    const float own = row[truth[r]];
    const auto not_below = std::count_if(row.begin(), row.end(), [&](float s) { return s >= own; });
    right += static_cast<size_t>(not_below) <= k ? 1 : 0;
  }
  return static_cast<double>(right) / static_cast<double>(scores.rows());
}

double roc_auc(std::span<const float> scores, const std::vector<bool>& positive) {
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, [&](size_t a, size_t b) { return scores[a] < scores[b]; });
  double rank_sum = 0, positives = 0;
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin;
    double here = 0;
    for (; end < order.size() && scores[order[end]] == scores[order[begin]]; ++end)
      here += positive[order[end]] ? 1 : 0;
    rank_sum += here * static_cast<double>(begin + 1 + end) / 2;  // tied values share their mean rank
    positives += here;
    begin = end;
  }
  const double negatives = static_cast<double>(scores.size()) - positives;
  if (positives == 0 || negatives == 0) return NAN;
  return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives);
}

double macro_auc(const Matrix& scores, std::span<const size_t> truth) {
  double sum = 0;
  size_t counted = 0;
  for (size_t c = 0; c < scores.cols(); ++c) {
    std::vector<bool> positive(truth.size());
    for (size_t r = 0; r < truth.size(); ++r) positive[r] = truth[r] == c;
    const double auc = roc_auc(column(scores, c), positive);
    if (std::isnan(auc)) continue;
    sum += auc;
    ++counted;
  }
  return counted == 0 ? NAN : sum / static_cast<double>(counted);
}

std::vector<size_t> confusion(const Matrix& scores, std::span<const size_t> truth) {
  std::vector<size_t> counts(scores.cols() * scores.cols());
  for (size_t r = 0; r < scores.rows(); ++r) {
    const auto row = scores.row(r);
    ++counts[truth[r] * scores.cols() + static_cast<size_t>(std::ranges::max_element(row) - row.begin())];
  }
  return counts;
}

Estimate bootstrap(std::span<const std::string> groups, size_t resamples, uint64_t seed,
                   const std::function<double(std::span<const size_t> rows)>& statistic) {
  std::map<std::string_view, std::vector<size_t>> by_group;
  for (size_t r = 0; r < groups.size(); ++r) by_group[groups[r]].push_back(r);
  std::vector<const std::vector<size_t>*> members;
  for (const auto& [group, rows] : by_group) members.push_back(&rows);

  std::vector<size_t> rows(groups.size());
  std::iota(rows.begin(), rows.end(), 0);
  Estimate estimate{statistic(rows), NAN, NAN};
  std::mt19937_64 random(seed);
  std::vector<double> values;
  for (size_t i = 0; i < resamples; ++i) {
    rows.clear();
    for (size_t g = 0; g < members.size(); ++g) {
      const auto& drawn = *members[random() % members.size()];
      rows.insert(rows.end(), drawn.begin(), drawn.end());
    }
    const double value = statistic(rows);
    if (!std::isnan(value)) values.push_back(value);
  }
  if (values.empty()) return estimate;
  std::ranges::sort(values);
  const auto at = [&](double share) {
    return values[static_cast<size_t>(share * static_cast<double>(values.size() - 1) + 0.5)];
  };
  estimate.low = at(0.025);
  estimate.high = at(0.975);
  return estimate;
}

Matrix nearest_neighbour_votes(const Matrix& references, std::span<const size_t> reference_labels,
                               std::span<const std::string> reference_groups, const Matrix& queries,
                               std::span<const std::string> query_groups, size_t labels, size_t k) {
  const Matrix from = unit_rows(references), to = unit_rows(queries);
  Matrix votes(to.rows(), labels);
#pragma omp parallel for schedule(dynamic, 16)
  for (size_t q = 0; q < to.rows(); ++q) {
    std::vector<std::pair<float, size_t>> near;
    for (size_t r = 0; r < from.rows(); ++r)
      if (reference_groups[r] != query_groups[q]) near.emplace_back(-dot(to.row(q), from.row(r)), r);
    const size_t n = std::min(k, near.size());
    std::partial_sort(near.begin(), near.begin() + static_cast<std::ptrdiff_t>(n), near.end());
    const auto row = votes.row(q);
    for (size_t i = 0; i < n; ++i) {
      float& vote = row[reference_labels[near[i].second]];
      vote += vote > 0 ? 1 : 1 - static_cast<float>(i) / static_cast<float>(k);
    }
  }
  return votes;
}

std::vector<std::pair<double, double>> roc_curve(std::span<const float> scores,
                                                 const std::vector<bool>& positive) {
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  const double positives = static_cast<double>(std::count(positive.begin(), positive.end(), true));
  const double negatives = static_cast<double>(positive.size()) - positives;
  std::vector<std::pair<double, double>> curve{{0, 0}};
  double hit = 0, alarm = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    (positive[order[i]] ? hit : alarm) += 1;
    if (i + 1 == order.size() || scores[order[i + 1]] != scores[order[i]])
      curve.emplace_back(alarm / std::max(negatives, 1.0), hit / std::max(positives, 1.0));
  }
  return curve;
}

}  // namespace mii
