#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>

#include "core/tensor.h"
#include "weights/checkpoint.h"
#include "weights/model_folder.h"

namespace mii {

/// Makes out_folder in the published layout and copies everything but the weights into it: config.yaml and
/// the tokenizer. Returns the paths; the caller writes the weights.
ModelFolder copy_model_texts(const std::filesystem::path& config_yaml,
                             const std::filesystem::path& tokenizer_folder,
                             const std::filesystem::path& out_folder);

struct ConvertOptions {
  /// f32, or bf16 for the matrices (vectors, depthwise kernels and the temperature stay f32: they are small,
  /// and rounding them would cost accuracy and save nothing), or i8 for the layers that int8 computes in
  /// bytes, each with its scales; the token embedding is then bf16, and other matrices f32.
  DType dtype = DType::f32;
  std::set<std::string> float_layers;  ///< of i8: those that are bf16 instead
  ColumnFactors column_factors;        ///< the weights are written times these
};

/// Writes a copy of a model folder with its weights in another type, under the published tensor names.
/// vocabulary_size: rows of the token embedding. Throws Error{corrupt_weights} for weights that do not fit
/// the configuration or are not finite.
void convert_model(const std::filesystem::path& folder, int64_t vocabulary_size,
                   const std::filesystem::path& out_folder, const ConvertOptions& options);

}  // namespace mii
