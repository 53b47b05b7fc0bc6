#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "stats/estimate.h"

namespace mii {

using stats::Estimate;

struct LabelResult {
  std::string label;
  size_t images = 0;
  double recall = 0;  ///< sensitivity of the top-1 answer
  double auc = 0;     ///< this label against the others
  std::vector<std::pair<double, double>> roc;
};

/// An example image to look at.
struct Example {
  std::string truth;
  std::string predicted;
  double probability = 0;
  std::vector<std::byte> jpeg;
};

struct CorruptionResult {
  std::string name;
  size_t images = 0;     ///< images that have such a copy
  double accuracy = 0;   ///< top-1 of the altered images
  double agreement = 0;  ///< share with the same answer as for the unaltered image
};

/// What the nearest neighbours among vectors of one kind answer.
struct NeighboursResult {
  std::string vectors;
  Estimate top1;
  Estimate macro_auc;  ///< of the votes
};

/// The results of a task, or the mean of several; a mean has no labels, confusion or examples.
struct TaskResult {
  std::string name;
  size_t images = 0;
  size_t groups = 0;  ///< patients; images where patients are unknown
  std::vector<LabelResult> labels;
  Estimate top1;
  Estimate top5;
  Estimate macro_auc;
  std::vector<NeighboursResult> neighbours;
  /// By how much the first neighbours are better than the second on the same bootstrap draws. An interval
  /// that excludes 0 says that they differ, even where their own intervals overlap.
  std::optional<NeighboursResult> difference;
  std::vector<size_t> confusion;  ///< [truth * labels + predicted]
  std::vector<CorruptionResult> corruptions;
  std::vector<Example> examples;
};

struct EvalReport {
  std::string model;
  std::string data;
  size_t k = 0;  ///< of the nearest neighbours
  std::vector<TaskResult> tasks;
};

std::string to_table(const EvalReport& report);
std::string to_json(const EvalReport& report);
/// One page without references to anything outside it.
std::string to_html(const EvalReport& report);

}  // namespace mii
