#include "weights/procedural.h"

#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "core/aligned_buffer.h"
#include "weights/convert.h"
#include "weights/safetensors.h"

namespace mii {
namespace {

constexpr uint64_t kSeed = 20240927;

uint64_t fnv1a(std::string_view text) {
  uint64_t hash = 0xCBF29CE484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3;
  return hash;
}

struct Spread {
  double deviation;
  double offset;
};

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

Spread matrix_spread(std::string_view name, const Shape& shape) {
  int64_t fan_in = 1;
  for (size_t d = 1; d < shape.size(); ++d) fan_in *= shape[d];
  double gain = 0.6;
  if (name.ends_with("qkv.weight")) gain = 0.4;
  if (name.ends_with("in_proj_weight")) gain = 0.8;
  if (name == "image_encoder.convs.0.proj.weight") gain = 1.0;
  return {gain * std::pow(static_cast<double>(fan_in), -0.5), 0};
}

Spread spread_of(std::string_view name, const Shape& shape) {
  const bool bias = name.ends_with(".bias") || name.ends_with(".in_proj_bias");
  if (name == "logit_scale") return {0, 4.6};
  if (contains(name, ".norm") || contains(name, "norms.") || contains(name, ".ln_"))
    return bias ? Spread{0.1, 0} : Spread{0.2, 1};
  if (name.ends_with("positional_embedding")) return {0.1, 0};
  if (contains(name, "token_embedding")) return {0.3, 0};
  if (name == "image_projection" || name == "lang_projection")
    return {std::pow(static_cast<double>(shape[0]), -0.5), 0};
  if (bias) return {0.05, 0};
  if (contains(name, ".dw.weight")) return {0.12, 0};
  return matrix_spread(name, shape);
}

// Three of the channels of a norm.
std::set<int64_t> outliers_of(const std::string& norm, int64_t channels) {
  const uint64_t seed = fnv1a(norm);
  std::set<int64_t> few;
  for (uint64_t k = 0; k < 3; ++k)
    few.insert(static_cast<int64_t>((seed >> (16 * k)) % static_cast<uint64_t>(channels)));
  return few;
}

// Makes the outliers of a block's norm 32 times as large, and as much smaller the weights that read them. A
// power of two, so that nothing else is rounded. values: the elements [first, first + n) of the tensor.
void enlarge_few(const TensorSpec& spec, int64_t first, int64_t n, float* values) {
  if (!contains(spec.name, ".blocks.")) return;
  const int64_t channels = spec.shape.back();
  for (const auto& [ending, factor] : {std::pair(".norm.weight", 32.0f),
                                       {".norm.bias", 32.0f},
                                       {".fn.qkv.weight", 1 / 32.0f},
                                       {".fn.net.fc1.weight", 1 / 32.0f}}) {
    if (!spec.name.ends_with(ending)) continue;
    const std::string block = spec.name.substr(0, spec.name.size() - std::string_view(ending).size());
    const std::set<int64_t> few = outliers_of(block, channels);
    for (int64_t i = 0; i < n; ++i)
      if (few.contains((first + i) % channels)) values[i] *= factor;
  }
}

}  // namespace

void procedural_values(const TensorSpec& spec, int64_t first, int64_t n, float* values) {
  const uint64_t seed = fnv1a(spec.name) + kSeed;
  const Spread spread = spread_of(spec.name, spec.shape);
  const double scale = static_cast<float>(spread.deviation * std::sqrt(3.0));
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < n; ++i) {
    uint64_t z = seed + static_cast<uint64_t>(first + i + 1) * 0x9E3779B97F4A7C15;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    z = z ^ (z >> 31);
    const double u = static_cast<double>(static_cast<int64_t>(z >> 40)) * 0x1p-23 - 1;
    values[i] = static_cast<float>(u * scale + spread.offset);
  }
}

void write_procedural_model(const std::filesystem::path& config_yaml,
                            const std::filesystem::path& tokenizer_folder, int64_t vocabulary_size,
                            const std::filesystem::path& out_folder, const ProceduralOptions& options) {
  const std::vector<TensorSpec> specs = tensor_specs(ModelConfig::read(config_yaml), vocabulary_size);
  const ModelFolder out = copy_model_texts(config_yaml, tokenizer_folder, out_folder);
  write_procedural_weights(specs, out.weights, options);
}

void write_procedural_weights(const std::vector<TensorSpec>& specs, const std::filesystem::path& file,
                              const ProceduralOptions& options) {
  std::vector<SafetensorsWriter::Entry> entries;
  for (const TensorSpec& spec : specs) entries.push_back({spec.name, DType::f32, spec.shape});
  SafetensorsWriter writer(file, entries);
  constexpr int64_t kBlock = 1 << 20;
  AlignedBuffer<float> block(kBlock);
  for (const TensorSpec& spec : specs) {
    const int64_t elements = element_count(spec.shape);
    for (int64_t first = 0; first < elements; first += kBlock) {
      const int64_t n = std::min(kBlock, elements - first);
      procedural_values(spec, first, n, block.data());
      if (options.outliers) enlarge_few(spec, first, n, block.data());
      writer.write(std::as_bytes(block.span().first(static_cast<size_t>(n))));
    }
  }
  writer.commit();
}

}  // namespace mii
