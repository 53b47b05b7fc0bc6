#pragma once

#include <functional>
#include <vector>

#include "pipeline/encode.h"

namespace mii::pipeline {

struct ReportTask {
  /// How the report of an input is written. Its on_text hears the input's place among all.
  std::function<ReportOptions(size_t index)> options;
  /// Receives the reports, in order.
  std::function<void(size_t index, const Report& report)> sink;
};

/// From images to reports by the engine's decoder, as many side by side as the engine allows. Those of a
/// batch have one prompt, and all else in their options must be the same for all. Images that fail come back.
/// Throws as Engine::begin_reports does, and Error{cancelled}.
std::vector<Failure> write_reports(const Engine& engine, const ImageSequence& images, const ReadOptions& read,
                                   const ReportTask& task);

}  // namespace mii::pipeline
