#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "pipeline/encode.h"

namespace mii::pipeline {

/// How a manifest becomes a pack for training.
struct PackOptions {
  std::filesystem::path manifest;
  std::filesystem::path captions;   ///< rules, as CaptionRules reads them
  std::filesystem::path model;      ///< a model folder to start from: its configuration and tokenizer
  std::filesystem::path config;     ///< else a configuration
  std::filesystem::path tokenizer;  ///< and a folder with vocab.json and merges.txt
  bool trim_vocabulary = false;     ///< keep only the tokens that the captions use
  std::vector<std::string> where;   ///< "column=value,value"
  size_t max_captions = 64;         ///< of each concept
  /// Images are kept this much larger than the model's input, so that crops stay sharp.
  size_t margin_percent = 50;
  int quality = 90;  ///< of their JPEG
  ReadOptions read;
};

struct PackSummary {
  size_t images = 0;
  size_t image_bytes = 0;
  size_t label_sets = 0;
  size_t concepts = 0;
  size_t captions = 0;
  size_t tokens = 0;
  std::vector<Failure> failures;  ///< images that were left out
};

/// Decodes, resizes and labels the images of a manifest once and writes the pack. Throws as Manifest::read,
/// CaptionRules::read and write_pack do; Error{invalid_argument} for a manifest without a field of the
/// captions; Error{cancelled}.
PackSummary make_pack(const PackOptions& options, const std::filesystem::path& out);

}  // namespace mii::pipeline
