#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "weights/config.h"

namespace mii {

/// A trained report decoder: report_model/ in a model folder, beside vision_model/, or anywhere else.
///   config.yaml           the keys below REPORT_DECODER
///   decoder.safetensors   the tensors of report_decoder_specs()
struct ReportModelFolder {
  std::filesystem::path config;
  std::filesystem::path weights;

  /// Throws Error{invalid_model} for a folder that lacks one of them.
  static ReportModelFolder find(const std::filesystem::path& folder);
  /// The paths alone, to be written.
  static ReportModelFolder in(const std::filesystem::path& folder);
};

/// A whole number of a ReportDecoderConfig: its key in config.yaml, and what it may be.
struct ReportDecoderNumber {
  const char* key;
  int64_t ReportDecoderConfig::*member;
  int64_t least;
  int64_t most;
  const char* meaning;
};
std::span<const ReportDecoderNumber> report_decoder_numbers();

/// What config.yaml says.
std::string to_yaml(const ReportDecoderConfig& config);

/// Throws Error{invalid_model}, with both widths, for a decoder of another image tower or another tokenizer.
void expect_fit(const ReportDecoderConfig& decoder, int64_t image_dim, int64_t vocabulary_size);

}  // namespace mii
