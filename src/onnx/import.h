#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "weights/convert.h"
#include "weights/model_folder.h"

namespace mii {

struct OnnxImport {
  std::vector<std::filesystem::path> graphs;  ///< a file with both towers, or a file for each
  ModelFolder texts;            ///< config.yaml and the tokenizer; its weights are not looked at
  int64_t vocabulary_size = 0;  ///< rows of the token embedding
  WeightsFormat format;
  /// The factor on the cosine; without, the one of the graphs.
  std::optional<double> logit_scale;
};

/// Writes a model folder with the weights of ONNX graphs, whatever made them: their tensors are found by
/// place, role and shape, not by name. Returns what a user should know, as sentences. Throws as
/// OnnxWeights::open does, before anything is written; Error{io}.
std::vector<std::string> import_onnx(const OnnxImport& import, const std::filesystem::path& out_folder);

}  // namespace mii
