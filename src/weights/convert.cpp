#include "weights/convert.h"

#include <string>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/file.h"
#include "core/int8_matrix.h"
#include "mii/error.h"
#include "weights/safetensors.h"

namespace mii {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxTextBytes = 64 << 20;

void copy_text(const fs::path& from, const fs::path& to) {
  const std::vector<std::byte> bytes = read_file(from, kMaxTextBytes);
  AtomicFile file(to);
  file.write(bytes);
  file.commit();
}

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw Error(ErrorCode::io, folder.string() + ": cannot be made: " + error.message());
}

// Matrices of products and of embeddings, which hold nearly all of the bytes.
bool is_matrix(const Shape& shape) { return shape.size() == 2 || (shape.size() == 4 && shape[1] > 1); }

// The type in which a tensor of the model is written.
DType written_as(const TensorSpec& spec, const WeightsFormat& format) {
  if (!is_matrix(spec.shape)) return DType::f32;
  if (format.dtype != DType::i8) return format.dtype;
  if (is_int8_layer(spec)) return format.float_layers.contains(spec.name) ? DType::bf16 : DType::i8;
  return spec.name == "lang_encoder.token_embedding.weight" ? DType::bf16 : DType::f32;
}

void write_int8(const CopyTensor& copy, const TensorSpec& spec, SafetensorsWriter& writer) {
  const int64_t elements = element_count(spec.shape), rows = spec.shape[0];
  AlignedBuffer<float> values(static_cast<size_t>(elements));
  copy(DType::f32, spec.name, reinterpret_cast<std::byte*>(values.data()));
  const Int8Matrix matrix = quantise_matrix(values.data(), rows, elements / rows);
  writer.write(std::as_bytes(matrix.values.span()));
  writer.write(std::as_bytes(std::span(matrix.scales)));
}

void write_float(const CopyTensor& copy, const TensorSpec& spec, DType dtype, SafetensorsWriter& writer) {
  AlignedBuffer<std::byte> values(static_cast<size_t>(element_count(spec.shape)) * size_of(dtype));
  copy(dtype, spec.name, values.data());
  writer.write(values.span());
}

}  // namespace

ModelFolder copy_model_texts(const fs::path& config_yaml, const fs::path& tokenizer_folder,
                             const fs::path& out_folder) {
  ModelFolder out{.config = out_folder / "config.yaml",
                  .weights = out_folder / "vision_model" / "medimageinsigt-v1.0.0.pt",
                  .tokenizer = out_folder / "language_model" / "clip_tokenizer_4.16.2"};
  make_folder(out.weights.parent_path());
  make_folder(out.tokenizer);
  copy_text(config_yaml, out.config);
  for (const char* name : {"vocab.json", "merges.txt"})
    copy_text(tokenizer_folder / name, out.tokenizer / name);
  for (const char* name : {"tokenizer_config.json", "special_tokens_map.json"})
    if (fs::is_regular_file(tokenizer_folder / name))
      copy_text(tokenizer_folder / name, out.tokenizer / name);
  return out;
}

void write_weights(const std::vector<TensorSpec>& specs, const WeightsFormat& format, const CopyTensor& copy,
                   const fs::path& file) {
  if (format.dtype != DType::f32 && format.dtype != DType::bf16 && format.dtype != DType::i8)
    throw Error(ErrorCode::invalid_argument,
                std::string("weights are converted to F32, BF16 or I8, not to ") + to_string(format.dtype));
  std::vector<SafetensorsWriter::Entry> entries;
  for (const TensorSpec& spec : specs) {
    const DType written = written_as(spec, format);
    entries.push_back({spec.name, written, spec.shape});
    if (written == DType::i8) entries.push_back({scales_name(spec.name), DType::f32, {spec.shape[0]}});
  }
  SafetensorsWriter writer(file, entries);
  for (const TensorSpec& spec : specs) {
    const DType written = written_as(spec, format);
    if (written == DType::i8)
      write_int8(copy, spec, writer);
    else
      write_float(copy, spec, written, writer);
  }
  writer.commit();
}

void convert_model(const fs::path& folder, int64_t vocabulary_size, const WeightsFormat& format,
                   const fs::path& out_folder, const ColumnFactors& column_factors) {
  std::error_code none;
  if (fs::equivalent(folder, out_folder, none))
    throw Error(ErrorCode::invalid_argument,
                out_folder.string() + ": a model cannot be converted into its own folder");
  const ModelFolder from = ModelFolder::find(folder);
  const ModelConfig config = ModelConfig::read(from.config);
  Checkpoint checkpoint = Checkpoint::open(from.weights, config, vocabulary_size);
  checkpoint.scale_columns(column_factors);
  const ModelFolder out = copy_model_texts(from.config, from.tokenizer, out_folder);
  write_weights(
      tensor_specs(config, vocabulary_size), format,
      [&](DType dtype, const std::string& name, std::byte* to) { checkpoint.copy_as(dtype, name, to); },
      out.weights);
}

}  // namespace mii
