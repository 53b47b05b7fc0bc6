#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dataset/manifest.h"
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

/// The images that a task asks about, and what is true of them.
struct Asked {
  std::vector<size_t> items;  ///< indices into EncodedRows::rows
  std::vector<std::string> groups;
  std::vector<size_t> truth;  ///< of a task about labels
  std::vector<float> values;  ///< of a task about a number

  size_t size() const { return items.size(); }
};

/// Images whose field is empty or has none of the task's labels are left out, and so are those that are no
/// number where one is asked for.
Asked asked_of(const EvalTask& task, const EncodedRows& data);

/// All images that meet the task's conditions; the truth of those without one of its labels is
/// stats::kNoClass.
Asked searched_of(const EvalTask& task, const EncodedRows& data);

/// Where a task names no labels, the values that occur in any of the data become its labels.
void use_values_as_labels(EvalTask& task, std::span<const EncodedRows* const> data);

Matrix some_rows(const Matrix& m, const std::vector<size_t>& rows);

}  // namespace mii
