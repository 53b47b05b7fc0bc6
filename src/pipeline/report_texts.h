#pragma once

#include <array>
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "dataset/manifest.h"
#include "pipeline/encode.h"
#include "reports/scrub.h"
#include "weights/config.h"

namespace mii::pipeline {

/// How a manifest with reports becomes what a report decoder is trained on.
struct ReportTextOptions {
  std::filesystem::path model;  ///< the engine's folder: its configuration and tokenizer
  std::string text_column = "text";
  std::string prompt_column;  ///< what is known besides the image; empty: nothing
  /// The decoder's; what is 0 is as the model's text tower has it, and the context 256.
  int64_t context_length = 0;
  int64_t width = 0;
  int64_t heads = 0;
  int64_t layers = 0;
  DecodeOptions decode;
  ReadOptions read;
};

struct ReportTextSummary {
  size_t learn = 0;         ///< rows whose split is train, or that have none
  size_t validate = 0;      ///< all others
  size_t without_text = 0;  ///< rows that were passed over
  // Of the rows to learn from and to validate:
  size_t cut = 0;                                          ///< texts longer than the context
  std::array<size_t, reports::kPersonalKinds> scrubbed{};  ///< what was masked in the texts, by Personal
  size_t scrubbed_texts = 0;                               ///< in so many of them
  std::vector<Failure> failures;                           ///< rows that were left out
};

/// Whether a decoder learns from a row.
bool learns_from(const Manifest& manifest, size_t row);

/// Computes the tokens of the images and writes the file of dataset/report_problem.h. What in the texts may
/// tell who a patient is is masked first. Throws Error{invalid_argument} without the columns or without a
/// text to learn from whose image can be read, Error{cancelled}.
ReportTextSummary make_report_problem(const Engine& engine, const Manifest& manifest,
                                      const ReportTextOptions& options, const std::filesystem::path& out);

}  // namespace mii::pipeline
