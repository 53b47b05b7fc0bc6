#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include "heads/mlp_problem.h"
#include "weights/safetensors.h"

// How layers lie in a safetensors file: `layers.N` F32 [out, in + 1], the bias last, and `layers.N.norm`
// F32 [2, out], gains and offsets, where a norm follows.

namespace mii::heads {

/// Reads the numbers of layers of which `then` is known. Throws Error{corrupt_weights}, naming the file, for
/// tensors that are missing or no such matrices; whether the layers fit each other is for expect_layers to
/// say.
void read_layers(const Safetensors& file, std::string_view name, std::vector<MlpLayer>& layers);

/// What a file needs to know of the layers before they are written, and the writing, in this order.
void add_layer_entries(const std::vector<MlpLayer>& layers, std::vector<SafetensorsWriter::Entry>& entries);
void write_layers(const std::vector<MlpLayer>& layers, SafetensorsWriter& file);

/// What the trainer wrote: the layers; losses F64 [epochs, 1]; metadata "layers": what each does with its
/// products, as to_string(Then) says it, with blanks between. Throws Error{io}, Error{corrupt_weights}.
TrainedMlp read_trained_mlp(const std::filesystem::path& path);

}  // namespace mii::heads
