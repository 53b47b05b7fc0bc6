#include "eval/retrieval.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "eval/figure_parts.h"
#include "mii/error.h"

namespace mii {
namespace {

using stats::RetrievalFigures;
using stats::Retrieved;

// The queries and the index of a task, by their places among a model's images.
class Retrieval {
 public:
  Retrieval(const EvalTask& task, const EncodedModel& model, const RetrievalOptions& options)
      : asked_(asked_of(task, model.data)), index_(searched_of(task, index_of(model))), options_(options) {}

  const Asked& asked() const { return asked_; }
  const Asked& index() const { return index_; }

  std::vector<Retrieved> answers(const EncodedModel& model, Matrix EncodedRows::*vectors) const {
    std::vector<Retrieved> answers(asked_.size());
    for_each_query(some_rows(index_of(model).*vectors, index_.items), index_.groups,
                   some_rows(model.data.*vectors, asked_.items), asked_.groups,
                   [&](size_t q, std::vector<Distance>& distances) {
                     answers[q] = retrieved(distances, index_.truth, asked_.truth[q], options_.ks.back());
                   });
    return answers;
  }

 private:
  Asked asked_;
  Asked index_;
  const RetrievalOptions& options_;
};

RetrievalFigures figures_of(const std::vector<Retrieved>& answers, std::span<const std::string> groups,
                            size_t labels, const RetrievalOptions& options) {
  return stats::retrieval_figures(answers, labels, stats::make_groups(groups), options.ks,
                                  draws(options.figures));
}

}  // namespace

Retrieved retrieved(std::vector<Distance>& distances, std::span<const size_t> labels, size_t truth,
                    size_t k) {
  Retrieved answer{.truth = truth};
  const Distance* best = nullptr;
  for (const Distance& distance : distances) {
    if (labels[distance.second] != truth) continue;
    ++answer.relevant;
    if (best == nullptr || distance < *best) best = &distance;
  }
  if (best != nullptr)
    answer.first =
        static_cast<size_t>(std::ranges::count_if(distances, [&](const auto& d) { return d <= *best; }));
  for (const auto& [distance, row] : nearest(distances, k)) answer.classes.push_back(labels[row]);
  return answer;
}

SearchFigures search_figures(std::string name, const std::vector<Retrieved>& answers,
                             std::span<const std::string> groups, size_t labels,
                             const RetrievalOptions& options) {
  SearchFigures figures{std::move(name), figures_of(answers, groups, labels, options), {}};
  for (size_t label = 0; label < labels; ++label) {
    std::vector<Retrieved> own;
    std::vector<std::string> own_groups;
    for (size_t q = 0; q < answers.size(); ++q) {
      if (answers[q].truth != label) continue;
      own.push_back(answers[q]);
      own_groups.push_back(groups[q]);
    }
    figures.labels.push_back(figures_of(own, own_groups, labels, options));
  }
  return figures;
}

TaskResult begin_retrieval_result(const EvalTask& task, const Asked& asked, const Asked& index) {
  TaskResult result{.name = task.name, .images = asked.size(), .groups = count_groups(asked.groups)};
  result.retrieval = RetrievalResult{index.size(), {}, {}, {}};
  for (size_t label = 0; label < task.labels.size(); ++label) {
    result.labels.emplace_back(task.labels[label].first, std::ranges::count(asked.truth, label));
    result.retrieval->indexed_of_label.push_back(static_cast<size_t>(std::ranges::count(index.truth, label)));
  }
  return result;
}

void note_what_cannot_be_found(const std::vector<Retrieved>& answers, TaskResult& result) {
  const auto lost = std::ranges::count(answers, size_t{0}, &Retrieved::relevant);
  if (lost == 0) return;
  result.notes.push_back(std::to_string(lost) +
                         (result.retrieval->slices ? " volumes are left out: no other patient's volume"
                                                   : " images are left out: no other patient's image") +
                         " in the index has their label");
}

void expect_labels(const EvalTask& task) {
  if (task.number)
    throw Error(ErrorCode::invalid_argument,
                "task '" + task.name + "': search is measured by labels, not by numbers");
}

const EncodedRows& index_of(const EncodedModel& model) {
  return model.references != nullptr ? *model.references : model.data;
}

std::optional<TaskResult> measure_retrieval(EvalTask task, std::span<const EncodedModel> models,
                                            const RetrievalOptions& options) {
  const EncodedModel& model = models.front();
  expect_labels(task);
  use_values_as_labels(task, std::array{&model.data, &index_of(model)});
  const Retrieval retrieval(task, model, options);
  const Asked &asked = retrieval.asked(), &index = retrieval.index();
  if (asked.size() == 0) return std::nullopt;

  TaskResult result = begin_retrieval_result(task, asked, index);
  const auto add = [&](std::string name, const std::vector<Retrieved>& answers) {
    result.retrieval->searches.push_back(
        search_figures(std::move(name), answers, asked.groups, task.labels.size(), options));
  };
  for (const EncodedModel& each : models) {
    const std::vector<Retrieved> answers = retrieval.answers(each, &EncodedRows::vectors);
    if (&each == &model) note_what_cannot_be_found(answers, result);
    add("embeddings" + each.suffix, answers);
  }
  add("32x32 pixels", retrieval.answers(model, &EncodedRows::pixels));
  return result;
}

}  // namespace mii
