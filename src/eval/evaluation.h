#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "eval/few_shot.h"
#include "eval/figures.h"
#include "eval/scorers.h"
#include "eval/subgroups.h"
#include "eval/tasks.h"

namespace mii {

struct EvaluationOptions {
  FigureOptions figures;
  std::vector<SubgroupColumn> subgroups;
  FewShotOptions few_shot;  ///< no shots: nothing is fitted
  std::function<bool()> cancelled;
};

/// Asks scorers the questions of a list of tasks about labelled images.
class Evaluation {
 public:
  /// model: whose zero-shot head is asked about altered copies, and whose images are the examples. scorers:
  /// that head's first.
  Evaluation(EvaluationOptions options, const EncodedModel& model,
             std::vector<std::unique_ptr<Scorer>> scorers);
  ~Evaluation();

  /// Nothing when no image has one of the task's labels, or a number where one is asked for.
  std::optional<TaskResult> run(EvalTask task);

  /// The means of those tasks so far that share one, where there are several.
  std::vector<TaskResult> means() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// How near two models' vectors of the same images are. Nothing where their lengths differ.
/// Throws Error{invalid_argument} unless both have the same rows.
std::optional<VectorAgreement> vector_agreement(const EncodedRows& first, const EncodedRows& second);

}  // namespace mii
