#include "heads/mlp_file.h"

#include <algorithm>
#include <cstring>
#include <sstream>

#include "core/file.h"
#include "heads/stored_matrix.h"
#include "mii/error.h"

namespace mii::heads {
namespace {

constexpr uint64_t kMaxBytes = 1ull << 30;

std::string layer_name(size_t i) { return "layers." + std::to_string(i); }
std::string norm_name(size_t i) { return layer_name(i) + ".norm"; }

Rows64 read_floats(const Safetensors& file, const std::string& tensor, std::string_view name) {
  const StoredMatrix from = stored_matrix(file, tensor, "F32", name);
  Rows64 to(from.rows, from.cols);
  std::vector<float> row(from.cols);
  for (size_t i = 0; i < from.rows; ++i) {
    std::memcpy(row.data(), from.data.data() + i * from.cols * sizeof(float), from.cols * sizeof(float));
    std::ranges::copy(row, to.row(i).begin());
  }
  return to;
}

void write_floats(const Rows64& from, SafetensorsWriter& file) {
  for (size_t i = 0; i < from.rows(); ++i) {
    const std::vector<float> row(from.row(i).begin(), from.row(i).end());
    file.write(std::as_bytes(std::span(row)));
  }
}

}  // namespace

void read_layers(const Safetensors& file, std::string_view name, std::vector<MlpLayer>& layers) {
  for (size_t i = 0; i < layers.size(); ++i) {
    layers[i].weights = read_floats(file, layer_name(i), name);
    if (layers[i].then == Then::layer_norm) layers[i].norm = read_floats(file, norm_name(i), name);
  }
}

void add_layer_entries(const std::vector<MlpLayer>& layers, std::vector<SafetensorsWriter::Entry>& entries) {
  for (size_t i = 0; i < layers.size(); ++i) {
    const MlpLayer& layer = layers[i];
    entries.push_back({layer_name(i), DType::f32, shape_of(layer.weights.rows(), layer.weights.cols())});
    if (layer.then == Then::layer_norm)
      entries.push_back({norm_name(i), DType::f32, shape_of(layer.norm.rows(), layer.norm.cols())});
  }
}

void write_layers(const std::vector<MlpLayer>& layers, SafetensorsWriter& file) {
  for (const MlpLayer& layer : layers) {
    write_floats(layer.weights, file);
    if (layer.then == Then::layer_norm) write_floats(layer.norm, file);
  }
}

TrainedMlp read_trained_mlp(const std::filesystem::path& path) {
  const std::vector<std::byte> bytes = read_file(path, kMaxBytes);
  const std::string name = path.string();
  const Safetensors file = parse_safetensors(bytes, name);
  TrainedMlp trained;
  if (const auto layers = file.metadata.find("layers"); layers != file.metadata.end()) {
    std::istringstream words(layers->second);
    for (std::string word; words >> word;) trained.layers.push_back({.then = parse_then(word)});
  }
  read_layers(file, name, trained.layers);
  const StoredMatrix losses = stored_matrix(file, "losses", "F64", name);
  trained.losses.resize(losses.rows * losses.cols);
  if (!losses.data.empty()) std::memcpy(trained.losses.data(), losses.data.data(), losses.data.size());
  return trained;
}

}  // namespace mii::heads
