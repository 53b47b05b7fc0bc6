#include <algorithm>
#include <cmath>

#include "eval/figures.h"
#include "mii/error.h"
#include "stats/answers.h"

namespace mii {
namespace {

using stats::RankedAnswers;

double prevalence_of(const std::string& label, double own, const FigureOptions& options) {
  for (const std::string& name : {label, std::string()})
    if (const auto found = options.prevalences.find(name); found != options.prevalences.end())
      return found->second;
  return own;
}

PointResult point_result(const PointChoice& choice, const stats::RankedScores& ranked, double prevalence) {
  const stats::BinaryCounts counts = ranked.counts_at(choice.threshold);
  PointResult result{choice,
                     stats::wilson(counts.true_positives, counts.positives()),
                     stats::wilson(counts.true_negatives, counts.negatives()),
                     prevalence,
                     NAN,
                     NAN};
  if (prevalence <= 0 || prevalence >= 1) return result;
  const double sensitivity = counts.sensitivity(), specificity = counts.specificity();
  result.ppv = stats::positive_predictive_value(sensitivity, specificity, prevalence);
  result.npv = stats::negative_predictive_value(sensitivity, specificity, prevalence);
  return result;
}

std::vector<stats::NetBenefit> net_benefit(const stats::RankedScores& ranked, double prevalence) {
  const stats::BinaryCounts counts = ranked.counts_at(0);
  if (counts.positives() == 0 || counts.negatives() == 0) return {};
  std::vector<double> thresholds;
  for (int percent = 1; percent < 100; ++percent) thresholds.push_back(percent / 100.0);
  return stats::decision_curve(ranked, thresholds, prevalence);
}

LabelFigures label_figures(const AnsweredTask& task, const Answers& answers, size_t k,
                           const RankedAnswers& ranked, const FigureOptions& options) {
  const std::vector<float> scores = stats::column(answers.scores, k);
  const std::vector<bool> positive = stats::is_label(task.truth, k);
  const stats::RankedScores& label = ranked.label(k);
  const stats::BinaryCounts counts = label.counts_at(0);
  LabelFigures figures;
  figures.recall = static_cast<double>(ranked.confusion()[k * ranked.labels() + k]) /
                   static_cast<double>(counts.positives());
  figures.auc = stats::delong_auc(scores, positive, stats::make_groups(task.groups));
  figures.average_precision = label.average_precision();
  figures.brier = stats::brier_score(scores, positive);
  figures.reliability = stats::reliability(scores, positive);
  figures.calibration_error = stats::expected_calibration_error(figures.reliability);
  figures.curve = stats::corners(label.cuts());
  const double prevalence = prevalence_of(task.labels[k], counts.prevalence(), options);
  figures.point = point_result(answers.points[k], label, prevalence);
  figures.net_benefit = net_benefit(label, prevalence);
  return figures;
}

void add_answer_figures(const AnsweredTask& task, const Answers& answers, const RankedAnswers& ranked,
                        ScorerResult& result) {
  std::vector<float> confidence;
  std::vector<bool> right;
  for (size_t i = 0; i < task.truth.size(); ++i) {
    confidence.push_back(answers.scores.row(i)[ranked.answers()[i]]);
    right.push_back(ranked.answers()[i] == task.truth[i]);
  }
  result.reliability = stats::reliability(confidence, right);
  result.calibration_error = stats::expected_calibration_error(result.reliability);
  result.brier = stats::brier_score(confidence, right);
}

void note_labels_without_images(const AnsweredTask& task, TaskResult& result) {
  for (size_t k = 0; k < task.labels.size(); ++k) {
    const auto images = static_cast<size_t>(std::ranges::count(task.truth, k));
    result.labels.emplace_back(task.labels[k], images);
    if (images == 0) result.notes.push_back("'" + task.labels[k] + "' has no image, so that it has no AUC");
    if (images == task.truth.size())
      result.notes.push_back("every image is '" + task.labels[k] +
                             "': with one class only there are no curves, no AUC and no specificity of it");
  }
}

}  // namespace

void expect_probabilities(const Answers& answers) {
  const auto values = answers.scores.values();
  const auto wrong = std::ranges::count_if(values, [](float p) { return !(p >= 0 && p <= 1); });
  if (wrong > 0)
    throw Error(ErrorCode::invalid_argument, answers.scorer + ": " + std::to_string(wrong) + " of " +
                                                 std::to_string(values.size()) +
                                                 " scores are not numbers from 0 to 1");
}

void add_label_figures(const AnsweredTask& task, const FigureOptions& options, TaskResult& result) {
  note_labels_without_images(task, result);
  for (ScorerResult& scorer : result.scorers) {
    const Answers& answers = *task.find(scorer.name);
    if (answers.baseline) continue;
    const RankedAnswers ranked(answers.scores, task.truth);
    scorer.confusion = ranked.confusion();
    add_answer_figures(task, answers, ranked, scorer);
    for (size_t k = 0; k < task.labels.size(); ++k)
      scorer.labels.push_back(label_figures(task, answers, k, ranked, options));
  }
  const stats::Groups groups = stats::make_groups(task.groups);
  for (ComparisonResult& comparison : result.comparisons) {
    const Matrix& first = task.find(comparison.first)->scores;
    const Matrix& second = task.find(comparison.second)->scores;
    for (size_t k = 0; k < task.labels.size(); ++k)
      comparison.labels.push_back(stats::delong_test(stats::column(first, k), stats::column(second, k),
                                                     stats::is_label(task.truth, k), groups));
  }
}

}  // namespace mii
