#include <algorithm>

#include "eval/figure_parts.h"

namespace mii {
namespace {

using stats::JointFigures;
using stats::Multiplicities;

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
  if (task.value_answers.empty())
    result.notes.push_back(
        "nobody answers this task: neighbours need images of other patients, and there is no head of it");
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
