#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <vector>

#include "core/aligned_buffer.h"
#include "text/clip_tokenizer.h"
#include "weights/checkpoint.h"
#include "weights/convert.h"
#include "weights/model_folder.h"
#include "weights/safetensors.h"

namespace mii {

/// Copies a model folder in float32; `change` may write other values into each tensor.
inline void copy_changed_model(const std::filesystem::path& folder, const std::filesystem::path& out_folder,
                               const std::function<void(const TensorSpec&, std::span<float>)>& change) {
  const ModelFolder from = ModelFolder::find(folder);
  const ModelFolder to = copy_model_texts(from.config, from.tokenizer, out_folder);
  const ModelConfig config = ModelConfig::read(from.config);
  const int64_t vocabulary_size = ClipTokenizer::load(from.tokenizer).vocabulary_size();
  const Checkpoint checkpoint = Checkpoint::open(from.weights, config, vocabulary_size);
  const std::vector<TensorSpec> specs = tensor_specs(config, vocabulary_size);
  std::vector<SafetensorsWriter::Entry> entries;
  for (const TensorSpec& spec : specs) entries.push_back({spec.name, DType::f32, spec.shape});
  SafetensorsWriter writer(to.weights, entries);
  for (const TensorSpec& spec : specs) {
    AlignedBuffer<float> values(static_cast<size_t>(element_count(spec.shape)));
    checkpoint.copy_as(DType::f32, spec.name, reinterpret_cast<std::byte*>(values.data()));
    change(spec, values.span());
    writer.write(std::as_bytes(values.span()));
  }
  writer.commit();
}

}  // namespace mii
