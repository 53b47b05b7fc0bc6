#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

#include "weights/checkpoint.h"

namespace mii {

/// Weights that are a pure function of each tensor's name, so that a model of any size can be made anywhere
/// and has the same numbers everywhere. They mean nothing; they let the whole architecture be tested without
/// a download.
///
/// Element i of a tensor is u * scale + offset, u uniform in [-1, 1) from a hash of the name and i
/// (splitmix64), scale and offset chosen by the kind of the tensor.
///
/// Writes the elements [first, first + n) of the tensor.
void procedural_values(const TensorSpec& spec, int64_t first, int64_t n, float* values);

struct ProceduralOptions {
  /// Makes a few channels of each layer norm in the image tower's blocks 32 times as large, as trained
  /// transformers have them, and the weights that read them as much smaller: the vectors stay the same, and 8
  /// bits find them hardest.
  bool outliers = false;
};

/// Writes a safetensors file of such tensors, float32. Throws Error{io}.
void write_procedural_weights(const std::vector<TensorSpec>& specs, const std::filesystem::path& file,
                              const ProceduralOptions& options = {});

/// Writes a model folder in the published layout with such weights, float32.
/// Throws Error{invalid_model} when the configuration or the tokenizer's files are wrong, Error{io} when the
/// folder cannot be written.
void write_procedural_model(const std::filesystem::path& config_yaml,
                            const std::filesystem::path& tokenizer_folder, int64_t vocabulary_size,
                            const std::filesystem::path& out_folder, const ProceduralOptions& options = {});

}  // namespace mii
