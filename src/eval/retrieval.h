#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "eval/figures.h"
#include "eval/neighbours.h"
#include "eval/scorers.h"

namespace mii {

/// What a query got that has these distances to the images of an index: the labels of the k nearest, and
/// where the first with its own label is among all.
stats::Retrieved retrieved(std::vector<Distance>& distances, std::span<const size_t> labels, size_t truth,
                           size_t k);

struct RetrievalOptions {
  std::vector<size_t> ks{1, 5, 10};  ///< rising, none 0
  FigureOptions figures;
};

/// The figures of all answers, and of those to the queries of each label. groups: of the queries.
SearchFigures search_figures(std::string name, const std::vector<stats::Retrieved>& answers,
                             std::span<const std::string> groups, size_t labels,
                             const RetrievalOptions& options);

/// What is asked and what is searched, before any search.
TaskResult begin_retrieval_result(const EvalTask& task, const Asked& asked, const Asked& index);

/// Says of how many queries nothing can be found.
void note_what_cannot_be_found(const std::vector<stats::Retrieved>& answers, TaskResult& result);

/// Throws Error{invalid_argument} for a task about a number.
void expect_labels(const EvalTask& task);

/// The references, or without them the images that are asked about.
const EncodedRows& index_of(const EncodedModel& model);

/// Images with labels as queries of an index of others: the references, or without them the same images. The
/// query's own patient is no hit, and an image of the index without one of the task's labels is a miss. By
/// each model's vectors, and by the bare pixels. models: all of the same images, at least one. A task that
/// names no labels asks about the values that occur. Nothing when no query has one of the task's
/// labels. Throws Error{invalid_argument} for a task about a number.
std::optional<TaskResult> measure_retrieval(EvalTask task, std::span<const EncodedModel> models,
                                            const RetrievalOptions& options);

}  // namespace mii
