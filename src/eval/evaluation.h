#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dataset/manifest.h"
#include "eval/report.h"
#include "eval/tasks.h"
#include "mii/engine.h"
#include "pipeline/encode.h"

namespace mii {

/// Rows of a manifest with what they look like to the model and as pixels.
struct EncodedRows {
  Manifest manifest;
  std::vector<size_t> rows;         ///< of the manifest: those whose image could be read
  std::vector<std::string> groups;  ///< of each: the patient, or the image where it is not known
  Matrix vectors;                   ///< [rows, D]
  Matrix pixels;                    ///< [rows, 32 * 32], luma
};

/// Reads and encodes the images of a manifest, each once. Those that fail are added to failures.
EncodedRows encode_rows(const Engine& engine, Manifest manifest, const pipeline::ReadOptions& options,
                        std::vector<pipeline::Failure>& failures);

struct EvaluationOptions {
  size_t k = 5;             ///< nearest neighbours that vote
  size_t resamples = 1000;  ///< bootstrap draws for the confidence intervals
  std::function<bool()> cancelled;
};

/// Asks a model the questions of a list of tasks about labelled images.
class Evaluation {
 public:
  /// references: where the nearest neighbours come from; null: other patients of the same rows. All but
  /// options outlive the evaluation.
  Evaluation(const EvaluationOptions& options, const Engine& engine, const EncodedRows& data,
             const EncodedRows* references);
  ~Evaluation();

  /// Nothing when no image has one of the task's labels.
  std::optional<TaskResult> run(EvalTask task);

  /// The means of those tasks so far that share one, where there are several.
  std::vector<TaskResult> means() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mii
