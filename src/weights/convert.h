#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "weights/checkpoint.h"
#include "weights/model_folder.h"

namespace mii {

/// Makes out_folder in the published layout and copies everything but the weights into it: config.yaml and
/// the tokenizer. Returns the paths; the caller writes the weights.
ModelFolder copy_model_texts(const std::filesystem::path& config_yaml,
                             const std::filesystem::path& tokenizer_folder,
                             const std::filesystem::path& out_folder);

/// The types in which weights are written: f32, or bf16 for the matrices (vectors, depthwise kernels and the
/// temperature stay f32: they are small, and rounding them would cost accuracy and save nothing), or i8 for
/// the layers that int8 computes in bytes, each with its scales; but those in float_layers, and the token
/// embedding, are then bf16, and other matrices f32.
struct WeightsFormat {
  DType dtype = DType::f32;
  std::set<std::string> float_layers;  ///< by the published names of their matrices
};

/// Writes the numbers of a tensor of the model to `to`, as dtype: f32 or bf16.
using CopyTensor = std::function<void(DType dtype, const std::string& name, std::byte* to)>;

/// Writes a safetensors file of these tensors, one after the other. Throws Error{invalid_argument} for
/// another type than those of WeightsFormat, Error{io}, and what copy throws.
void write_weights(const std::vector<TensorSpec>& specs, const WeightsFormat& format, const CopyTensor& copy,
                   const std::filesystem::path& file);

/// Writes a copy of a model folder with its weights in another type, times column_factors, under the
/// published tensor names. vocabulary_size: rows of the token embedding. Throws Error{corrupt_weights} for
/// weights that do not fit the configuration or are not finite.
void convert_model(const std::filesystem::path& folder, int64_t vocabulary_size, const WeightsFormat& format,
                   const std::filesystem::path& out_folder, const ColumnFactors& column_factors = {});

}  // namespace mii
