#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "decode_flags.h"
#include "pipeline/report_texts.h"

namespace mii {

/// The flags of `mii train --objective report` that the other objective does not have.
struct ReportObjectiveFlags {
  pipeline::ReportTextOptions texts;
  std::string label_smoothing, dropout;  ///< passed on as they are

  void add_to(CLI::App& command, const std::string& group);
};

/// What both objectives share.
struct ReportTrainingRun {
  std::filesystem::path manifest;
  std::filesystem::path model;  ///< empty: the built-in one
  std::vector<std::string> where;
  std::filesystem::path out;
  bool resume = false;
  bool quiet = false;
  std::vector<std::string> arguments;  ///< of the trainer
};

/// Makes the problem in OUT/problem.safetensors, trains on it, writes reports of the validation images and
/// measures them. Returns an ExitStatus.
int train_report(ReportObjectiveFlags flags, const ReportTrainingRun& run);

}  // namespace mii
