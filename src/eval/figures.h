#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "eval/result.h"
#include "mii/matrix.h"

namespace mii {

/// What a scorer said of the images of a task about labels.
struct Answers {
  std::string scorer;
  bool baseline = false;                   ///< compared with, and not looked at label by label
  std::vector<std::string> compared_with;  ///< scorers of the same task
  bool replaces = false;                   ///< whether it may take their place is the question
  Matrix scores;                           ///< [n, K], probabilities
  std::vector<PointChoice> points;         ///< [K]; none for a baseline
};

/// What a scorer said of the images of a task about a number.
struct ValueAnswers {
  std::string scorer;
  bool baseline = false;
  std::vector<std::string> compared_with;
  std::vector<float> values;  ///< [n]
};

/// A task's images, what is true of them, and all answers.
struct AnsweredTask {
  std::vector<std::string> groups;  ///< [n]
  std::vector<std::string> labels;  ///< K of a task about labels
  std::vector<size_t> truth;        ///< [n], below K
  std::vector<Answers> answers;
  std::vector<float> values;  ///< [n] of a task about a number
  std::vector<ValueAnswers> value_answers;

  const Answers* find(const std::string& scorer) const;  ///< null: it did not answer
};

/// Subgroups of a task's images.
struct Subgrouping {
  std::string column;
  std::vector<std::string> names;
  std::vector<std::string> of_image;  ///< [n]
};

struct FigureOptions {
  size_t resamples = 1000;  ///< bootstrap draws for the intervals
  /// Of labels, for the predictive values and decision curves; that of "" is every other label's.
  std::map<std::string, double> prevalences;
};

/// Throws Error{invalid_argument}, with the scorer's name, for scores that are no numbers from 0 to 1.
void expect_probabilities(const Answers& answers);

/// The counts of images and patients, and of each scorer that answered all of the tasks the means over the
/// tasks of its accuracies, with the comparisons. Patients are drawn from all tasks together.
TaskResult summarize(const std::string& name, std::span<const AnsweredTask> tasks,
                     const FigureOptions& options);

/// Adds the figures of a task about labels, label by label, to its summary.
void add_label_figures(const AnsweredTask& task, const FigureOptions& options, TaskResult& result);
void add_subgroups(const AnsweredTask& task, std::span<const Subgrouping> subgroupings,
                   const FigureOptions& options, TaskResult& result);

/// The whole result of a task about a number.
TaskResult value_result(const std::string& name, const AnsweredTask& task,
                        std::span<const Subgrouping> subgroupings, const FigureOptions& options);

}  // namespace mii
