#include "eval/figures.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "mii/error.h"
#include "stats/answers.h"
#include "stats/bootstrap.h"

namespace mii {
namespace {

using stats::JointFigures;
using stats::Multiplicities;
using stats::RankedAnswers;

stats::BootstrapOptions draws(const FigureOptions& options) { return {.resamples = options.resamples}; }

size_t count_groups(std::span<const std::string> groups) {
  return std::set<std::string_view>(groups.begin(), groups.end()).size();
}

const Answers* find(const AnsweredTask& task, const std::string& scorer) {
  const auto found = std::ranges::find(task.answers, scorer, &Answers::scorer);
  return found == task.answers.end() ? nullptr : &*found;
}

// The scorers of the first task that answered all the others too.
std::vector<const Answers*> common_scorers(std::span<const AnsweredTask> tasks) {
  std::vector<const Answers*> common;
  for (const Answers& answers : tasks.front().answers)
    if (std::ranges::all_of(tasks, [&](const AnsweredTask& t) { return find(t, answers.scorer) != nullptr; }))
      common.push_back(&answers);
  return common;
}

double agreement(const AnsweredTask& task, const Answers& first, const Answers& second) {
  const auto a = RankedAnswers(first.scores, task.truth).answers();
  const auto b = RankedAnswers(second.scores, task.truth).answers();
  size_t same = 0;
  for (size_t i = 0; i < a.size(); ++i) same += a[i] == b[i] ? 1 : 0;
  return static_cast<double>(same) / static_cast<double>(a.size());
}

// Of the draws of several tasks together, those of one: `images` of them from `begin` on.
Multiplicities part(Multiplicities times, size_t begin, size_t images) {
  return times.empty() ? times : times.subspan(begin, images);
}

// The mean over tasks of a figure of each.
template <typename Figure>
JointFigures::Figure mean_of(std::vector<RankedAnswers>& ranked, const std::vector<size_t>& begins,
                             const Figure& figure) {
  return [&ranked, begins, figure](Multiplicities times) {
    double sum = 0;
    for (size_t t = 0; t < ranked.size(); ++t)
      sum += figure(ranked[t], part(times, begins[t], begins[t + 1] - begins[t]));
    return sum / static_cast<double>(ranked.size());
  };
}

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

TaskResult summarize(const std::string& name, std::span<const AnsweredTask> tasks,
                     const FigureOptions& options) {
  TaskResult result{.name = name};
  std::vector<std::string> groups;
  std::vector<size_t> begins{0};  // of each task's images among all
  for (const AnsweredTask& task : tasks) {
    groups.insert(groups.end(), task.groups.begin(), task.groups.end());
    begins.push_back(groups.size());
  }
  result.images = groups.size();
  result.groups = count_groups(groups);

  const auto scorers = common_scorers(tasks);
  std::vector<std::vector<RankedAnswers>> ranked(scorers.size());
  JointFigures figures;
  struct Places {
    size_t top1, top5, macro_auc;
  };
  std::map<std::string, Places> places;
  for (size_t s = 0; s < scorers.size(); ++s) {
    for (const AnsweredTask& task : tasks)
      ranked[s].emplace_back(find(task, scorers[s]->scorer)->scores, task.truth);
    const auto top = [](size_t k) {
      return [k](const RankedAnswers& a, Multiplicities times) { return a.top_k_accuracy(k, times); };
    };
    const auto macro_auc = [](const RankedAnswers& a, Multiplicities times) { return a.macro_auc(times); };
    places[scorers[s]->scorer] = {figures.add(mean_of(ranked[s], begins, top(1))),
                                  figures.add(mean_of(ranked[s], begins, top(5))),
                                  figures.add(mean_of(ranked[s], begins, macro_auc))};
  }
  struct Pair {
    const Answers* first;
    std::string second;
    size_t top1, macro_auc;
  };
  std::vector<Pair> pairs;
  for (const Answers* first : scorers)
    for (const std::string& second : first->compared_with)
      if (places.contains(second))
        pairs.push_back({first, second,
                         figures.add_difference(places[first->scorer].top1, places[second].top1),
                         figures.add_difference(places[first->scorer].macro_auc, places[second].macro_auc)});

  const auto estimates = figures.estimate(stats::make_groups(groups), draws(options));
  for (const Answers* scorer : scorers) {
    const Places& at = places[scorer->scorer];
    result.scorers.push_back(
        {scorer->scorer, estimates[at.top1], estimates[at.top5], estimates[at.macro_auc]});
  }
  for (const Pair& pair : pairs) {
    ComparisonResult comparison{pair.first->scorer, pair.second, estimates[pair.top1],
                                estimates[pair.macro_auc], pair.first->replaces};
    for (const AnsweredTask& task : tasks)
      comparison.agreement += agreement(task, *find(task, comparison.first), *find(task, comparison.second)) /
                              static_cast<double>(tasks.size());
    result.comparisons.push_back(std::move(comparison));
  }
  return result;
}

void add_label_figures(const AnsweredTask& task, const FigureOptions& options, TaskResult& result) {
  note_labels_without_images(task, result);
  for (ScorerResult& scorer : result.scorers) {
    const Answers& answers = *find(task, scorer.name);
    if (answers.baseline) continue;
    const RankedAnswers ranked(answers.scores, task.truth);
    scorer.confusion = ranked.confusion();
    add_answer_figures(task, answers, ranked, scorer);
    for (size_t k = 0; k < task.labels.size(); ++k)
      scorer.labels.push_back(label_figures(task, answers, k, ranked, options));
  }
  const stats::Groups groups = stats::make_groups(task.groups);
  for (ComparisonResult& comparison : result.comparisons) {
    const Matrix& first = find(task, comparison.first)->scores;
    const Matrix& second = find(task, comparison.second)->scores;
    for (size_t k = 0; k < task.labels.size(); ++k)
      comparison.labels.push_back(stats::delong_test(stats::column(first, k), stats::column(second, k),
                                                     stats::is_label(task.truth, k), groups));
  }
}

namespace {

// Some of a task's images.
struct Part {
  std::vector<size_t> images;
  std::vector<std::string> groups;
  std::vector<size_t> truth;

  std::vector<uint32_t> times(Multiplicities all) const {
    std::vector<uint32_t> own;
    if (!all.empty())
      for (const size_t i : images) own.push_back(all[i]);
    return own;
  }
};

// The images that are in a subgroup, or those that are not.
Part part_of(const AnsweredTask& task, const Subgrouping& by, const std::string& name, bool inside) {
  Part part;
  for (size_t i = 0; i < task.groups.size(); ++i) {
    if ((by.of_image[i] == name) != inside) continue;
    part.images.push_back(i);
    part.groups.push_back(task.groups[i]);
    if (!task.truth.empty()) part.truth.push_back(task.truth[i]);
  }
  return part;
}

Matrix scores_of(const Answers& answers, const Part& part) {
  Matrix scores(part.images.size(), answers.scores.cols());
  for (size_t i = 0; i < part.images.size(); ++i)
    std::ranges::copy(answers.scores.row(part.images[i]), scores.row(i).begin());
  return scores;
}

// The figures of a scorer inside and outside of a subgroup, and by how much they differ.
class SubgroupScorer {
 public:
  SubgroupScorer(const AnsweredTask& task, const Answers& answers, const Part& inside, const Part& outside)
      : answers_(answers),
        labels_(task.labels.size()),
        inside_(inside),
        outside_(outside),
        in_(scores_of(answers, inside), inside.truth),
        out_(scores_of(answers, outside), outside.truth) {}

  SubgroupFigures figures(const stats::Groups& groups, const FigureOptions& options) const {
    JointFigures joint;
    const auto top1 =
        add(joint, [](const RankedAnswers& a, Multiplicities t) { return a.top_k_accuracy(1, t); });
    const auto macro = add(joint, [](const RankedAnswers& a, Multiplicities t) { return a.macro_auc(t); });
    std::vector<std::pair<Places, Places>> points;
    for (size_t k = 0; k < labels_; ++k) {
      const float at = answers_.points[k].threshold;
      points.emplace_back(
          add(joint, [k, at](const RankedAnswers& a,
                             Multiplicities t) { return a.label(k).counts_at(at, t).sensitivity(); }),
          add(joint, [k, at](const RankedAnswers& a, Multiplicities t) {
            return a.label(k).counts_at(at, t).specificity();
          }));
    }
    const auto estimates = joint.estimate(groups, draws(options));
    SubgroupFigures made{answers_.scorer, estimates[top1.inside], estimates[macro.inside],
                         estimates[top1.difference], estimates[macro.difference]};
    const Matrix scores = scores_of(answers_, inside_);
    for (size_t k = 0; k < labels_; ++k) {
      const stats::BinaryCounts counts = in_.label(k).counts_at(answers_.points[k].threshold);
      made.labels.push_back({counts.positives(),
                             stats::delong_auc(stats::column(scores, k), stats::is_label(inside_.truth, k),
                                               stats::make_groups(inside_.groups)),
                             stats::wilson(counts.true_positives, counts.positives()),
                             stats::wilson(counts.true_negatives, counts.negatives()),
                             estimates[points[k].first.difference], estimates[points[k].second.difference]});
    }
    return made;
  }

 private:
  struct Places {
    size_t inside, difference;
  };

  template <typename Figure>
  Places add(JointFigures& joint, const Figure& figure) const {
    const size_t inside =
        joint.add([this, figure](Multiplicities t) { return figure(in_, inside_.times(t)); });
    const size_t outside =
        joint.add([this, figure](Multiplicities t) { return figure(out_, outside_.times(t)); });
    return {inside, joint.add_difference(inside, outside)};
  }

  const Answers& answers_;
  const size_t labels_;
  const Part& inside_;
  const Part& outside_;
  const RankedAnswers in_;
  const RankedAnswers out_;
};

std::string called(const Subgrouping& by, const std::string& name) {
  return "subgroup " + by.column + " = " + name;
}

bool one_class(const std::vector<size_t>& truth) {
  return std::ranges::all_of(truth, [&](size_t t) { return t == truth.front(); });
}

}  // namespace

void add_subgroups(const AnsweredTask& task, std::span<const Subgrouping> subgroupings,
                   const FigureOptions& options, TaskResult& result) {
  const stats::Groups groups = stats::make_groups(task.groups);
  for (const Subgrouping& by : subgroupings) {
    for (const std::string& name : by.names) {
      const Part inside = part_of(task, by, name, true), outside = part_of(task, by, name, false);
      SubgroupResult subgroup{by.column, name, inside.images.size(), count_groups(inside.groups), {}};
      if (inside.images.empty())
        result.notes.push_back(called(by, name) + " has no image");
      else if (one_class(inside.truth))
        result.notes.push_back(called(by, name) + " has images of '" + task.labels[inside.truth.front()] +
                               "' only, so that it has no AUC");
      if (outside.images.empty())
        result.notes.push_back(called(by, name) + " has all images, so that it differs from no others");
      for (const Answers& answers : task.answers)
        if (!answers.baseline && !inside.images.empty())
          subgroup.scorers.push_back(SubgroupScorer(task, answers, inside, outside).figures(groups, options));
      result.subgroups.push_back(std::move(subgroup));
    }
  }
}

namespace {

stats::RegressionErrors errors_of(const AnsweredTask& task, const ValueAnswers& answers,
                                  Multiplicities times = {}) {
  return stats::regression_errors(answers.values, task.values, times);
}

JointFigures::Figure error_figure(const AnsweredTask& task, const ValueAnswers& answers,
                                  double stats::RegressionErrors::*which) {
  return [&task, &answers, which](Multiplicities times) { return errors_of(task, answers, times).*which; };
}

// The same of some images: the others count 0 times.
JointFigures::Figure error_figure(const AnsweredTask& task, const ValueAnswers& answers,
                                  double stats::RegressionErrors::*which, const Part& part) {
  return [&task, &answers, &part, which](Multiplicities times) {
    std::vector<uint32_t> own(task.values.size(), 0);
    for (const size_t i : part.images) own[i] = stats::multiplicity(times, i);
    return errors_of(task, answers, own).*which;
  };
}

ValueFigures value_figures(const AnsweredTask& task, const ValueAnswers& answers, const stats::Groups& groups,
                           const FigureOptions& options) {
  using Errors = stats::RegressionErrors;
  JointFigures joint;
  for (const auto which : {&Errors::mae, &Errors::rmse, &Errors::r2, &Errors::bias})
    joint.add(error_figure(task, answers, which));
  const auto estimates = joint.estimate(groups, draws(options));
  const Errors all = errors_of(task, answers);
  ValueFigures figures{answers.scorer, estimates[0],  estimates[1],   estimates[2],
                       estimates[3],   all.limit_low, all.limit_high, {}};
  for (size_t i = 0; i < task.values.size(); ++i)
    figures.points.emplace_back((answers.values[i] + task.values[i]) / 2, answers.values[i] - task.values[i]);
  return figures;
}

void add_value_comparisons(const AnsweredTask& task, const stats::Groups& groups,
                           const FigureOptions& options, TaskResult& result) {
  for (const ValueAnswers& first : task.value_answers) {
    for (const std::string& name : first.compared_with) {
      const auto second = std::ranges::find(task.value_answers, name, &ValueAnswers::scorer);
      if (second == task.value_answers.end()) continue;
      JointFigures joint;
      const size_t a = joint.add(error_figure(task, first, &stats::RegressionErrors::mae));
      const size_t b = joint.add(error_figure(task, *second, &stats::RegressionErrors::mae));
      const size_t difference = joint.add_difference(a, b);
      result.value_comparisons.push_back(
          {first.scorer, name, joint.estimate(groups, draws(options))[difference]});
    }
  }
}

ValueSubgroup value_subgroup(const AnsweredTask& task, const Subgrouping& by, const std::string& name,
                             const stats::Groups& groups, const FigureOptions& options) {
  const Part inside = part_of(task, by, name, true), outside = part_of(task, by, name, false);
  ValueSubgroup subgroup{by.column, name, inside.images.size(), count_groups(inside.groups), {}};
  if (inside.images.empty()) return subgroup;
  for (const ValueAnswers& answers : task.value_answers) {
    if (answers.baseline) continue;
    JointFigures joint;
    const size_t in = joint.add(error_figure(task, answers, &stats::RegressionErrors::mae, inside));
    const size_t out = joint.add(error_figure(task, answers, &stats::RegressionErrors::mae, outside));
    const size_t bias = joint.add(error_figure(task, answers, &stats::RegressionErrors::bias, inside));
    const size_t difference = joint.add_difference(in, out);
    const auto estimates = joint.estimate(groups, draws(options));
    subgroup.scorers.push_back({answers.scorer, estimates[in], estimates[bias], estimates[difference]});
  }
  return subgroup;
}

}  // namespace

TaskResult value_result(const std::string& name, const AnsweredTask& task,
                        std::span<const Subgrouping> subgroupings, const FigureOptions& options) {
  TaskResult result{.name = name, .images = task.groups.size(), .groups = count_groups(task.groups)};
  const stats::Groups groups = stats::make_groups(task.groups);
  for (const ValueAnswers& answers : task.value_answers)
    result.values.push_back(value_figures(task, answers, groups, options));
  add_value_comparisons(task, groups, options, result);
  for (const Subgrouping& by : subgroupings) {
    for (const std::string& value : by.names) {
      result.value_subgroups.push_back(value_subgroup(task, by, value, groups, options));
      if (result.value_subgroups.back().images == 0)
        result.notes.push_back(called(by, value) + " has no image");
    }
  }
  return result;
}

}  // namespace mii
