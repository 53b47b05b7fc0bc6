#include "stats/answers.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "mii/error.h"

namespace mii::stats {

std::vector<float> column(const Matrix& m, size_t c) {
  std::vector<float> values(m.rows());
  for (size_t r = 0; r < m.rows(); ++r) values[r] = m.row(r)[c];
  return values;
}

std::vector<bool> is_label(std::span<const size_t> truth, size_t label) {
  std::vector<bool> is(truth.size());
  for (size_t r = 0; r < truth.size(); ++r) is[r] = truth[r] == label;
  return is;
}

RankedAnswers::RankedAnswers(const Matrix& scores, std::span<const size_t> truth)
    : truth_(truth.begin(), truth.end()) {
  if (scores.rows() != truth.size())
    throw Error(ErrorCode::invalid_argument, "scores of " + std::to_string(scores.rows()) + " cases for " +
                                                 std::to_string(truth.size()) + " true labels");
  if (std::ranges::any_of(truth, [&](size_t t) { return t >= scores.cols(); }))
    throw Error(ErrorCode::invalid_argument,
                "a true label is beyond the " + std::to_string(scores.cols()) + " labels that have scores");
  for (size_t k = 0; k < scores.cols(); ++k) by_label_.emplace_back(column(scores, k), is_label(truth, k));
  for (size_t r = 0; r < scores.rows(); ++r) {
    const auto row = scores.row(r);
    const float own = row[truth[r]];
    rank_.push_back(static_cast<size_t>(std::ranges::count_if(row, [&](float s) { return s >= own; })));
    answers_.push_back(static_cast<size_t>(std::ranges::max_element(row) - row.begin()));
  }
}

double RankedAnswers::top_k_accuracy(size_t k, Multiplicities times) const {
  double right = 0, cases = 0;
  for (size_t r = 0; r < rank_.size(); ++r) {
    const uint32_t n = multiplicity(times, r);
    right += rank_[r] <= k ? n : 0;
    cases += n;
  }
  return cases == 0 ? NAN : right / cases;
}

double RankedAnswers::macro_auc(Multiplicities times) const {
  double sum = 0, counted = 0;
  for (const RankedScores& label : by_label_) {
    const double auc = label.auc(times);
    if (std::isnan(auc)) continue;
    sum += auc;
    counted += 1;
  }
  return counted == 0 ? NAN : sum / counted;
}

std::vector<size_t> RankedAnswers::confusion() const {
  std::vector<size_t> counts(labels() * labels());
  for (size_t r = 0; r < truth_.size(); ++r) ++counts[truth_[r] * labels() + answers_[r]];
  return counts;
}

}  // namespace mii::stats
