#include "weights/convert.h"

#include <string>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/file.h"
#include "mii/error.h"
#include "weights/checkpoint.h"
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

void write_tensor(const Checkpoint& checkpoint, const SafetensorsWriter::Entry& entry,
                  SafetensorsWriter& writer) {
  const TensorView tensor = checkpoint.tensor(entry.name);
  AlignedBuffer<std::byte> copy(static_cast<size_t>(tensor.elements()) * size_of(entry.dtype));
  if (entry.dtype == DType::bf16)
    copy_as_bfloat16(tensor, entry.name, reinterpret_cast<BFloat16*>(copy.data()));
  else
    copy_as_float(tensor, entry.name, reinterpret_cast<float*>(copy.data()));
  checkpoint.release(tensor);
  writer.write(copy.span());
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

void convert_model(const fs::path& folder, int64_t vocabulary_size, DType dtype, const fs::path& out_folder) {
  if (dtype != DType::f32 && dtype != DType::bf16)
    throw Error(ErrorCode::invalid_argument,
                std::string("weights are converted to F32 or BF16, not to ") + to_string(dtype));
  std::error_code none;
  if (fs::equivalent(folder, out_folder, none))
    throw Error(ErrorCode::invalid_argument,
                out_folder.string() + ": a model cannot be converted into its own folder");
  const ModelFolder from = ModelFolder::find(folder);
  const ModelConfig config = ModelConfig::read(from.config);
  const Checkpoint checkpoint = Checkpoint::open(from.weights, config, vocabulary_size);

  std::vector<SafetensorsWriter::Entry> entries;
  for (const TensorSpec& spec : tensor_specs(config, vocabulary_size))
    entries.push_back({spec.name, is_matrix(spec.shape) ? dtype : DType::f32, spec.shape});
  ModelFolder out = copy_model_texts(from.config, from.tokenizer, out_folder);
  SafetensorsWriter writer(out.weights, entries);
  for (const auto& entry : entries) write_tensor(checkpoint, entry, writer);
  writer.commit();
}

}  // namespace mii
