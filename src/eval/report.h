#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "eval/metrics.h"

namespace mii {

struct LabelResult {
  std::string label;
  size_t images = 0;
  double recall = 0;  ///< sensitivity of the top-1 answer
  double auc = 0;     ///< this label against the others
  std::vector<std::pair<double, double>> roc;
};

/// A picture to look at.
struct Example {
  std::string truth;
  std::string predicted;
  double probability = 0;
  std::vector<std::byte> jpeg;
};

struct CorruptionResult {
  std::string name;
  size_t images = 0;     ///< of which there are such copies
  double accuracy = 0;   ///< top-1 of the altered images
  double agreement = 0;  ///< share whose answer is the one given for the unaltered image
};

/// What the nearest neighbours of vectors of one kind say.
struct NeighboursResult {
  std::string vectors;
  Estimate top1;
  Estimate macro_auc;  ///< of the votes
};

/// Of a task, or the mean of several, which has no labels, confusion and examples.
struct TaskResult {
  std::string name;
  size_t images = 0;
  size_t groups = 0;  ///< patients, or images where patients are not known
  std::vector<LabelResult> labels;
  Estimate top1;
  Estimate top5;
  Estimate macro_auc;
  std::vector<NeighboursResult> neighbours;
  /// What the first neighbours are better by than the second, both of the same drawn images: an interval
  /// without 0 says that they differ, which those of either alone need not show.
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
