#include "onnx/onnx_weights.h"

#include <cmath>
#include <cstring>

#include "core/number_text.h"
#include "mii/error.h"
#include "onnx/graph_file.h"

namespace mii {
namespace {

constexpr double kLargestLogitScale = 100;  // that CLIP's training allows

const std::string* metadata(const onnx::ModelProto& model, std::string_view key) {
  for (const onnx::StringStringEntryProto& entry : model.metadata_props())
    if (entry.key() == key) return &entry.value();
  return nullptr;
}

double positive(const std::string& text, const std::string& file_name) {
  const std::optional<double> value = parse_number(text);
  if (!value || *value <= 0)
    throw Error(ErrorCode::corrupt_weights,
                file_name + ": mii.logit_scale is '" + text.substr(0, 40) + "', expected a positive number");
  return *value;
}

// from: [cols, rows], to: [rows, cols]; tiles, so that both stay in the cache.
template <typename Element>
void transpose(const std::byte* from, int64_t rows, int64_t cols, std::byte* to) {
  constexpr int64_t kTile = 32;
  const auto* stored = reinterpret_cast<const Element*>(from);
  auto* target = reinterpret_cast<Element*>(to);
  for (int64_t row = 0; row < rows; row += kTile)
    for (int64_t col = 0; col < cols; col += kTile)
      for (int64_t r = row; r < std::min(rows, row + kTile); ++r)
        for (int64_t c = col; c < std::min(cols, col + kTile); ++c)
          target[r * cols + c] = stored[c * rows + r];
}

std::string sentence(const std::vector<std::string>& names) {
  constexpr size_t kShown = 10;
  std::string text;
  for (size_t i = 0; i < std::min(kShown, names.size()); ++i) text += (i == 0 ? "'" : ", '") + names[i] + "'";
  if (names.size() > kShown) text += " and " + std::to_string(names.size() - kShown) + " more";
  return text;
}

}  // namespace

OnnxWeights OnnxWeights::open(const std::vector<std::filesystem::path>& paths, const OnnxSource& source) {
  std::vector<GraphFile> files;
  for (const std::filesystem::path& path : paths) files.push_back({path, read_graph_file(path)});
  return OnnxWeights(std::move(files), source);
}

OnnxWeights::OnnxWeights(std::vector<GraphFile> files, const OnnxSource& source)
    : files_(std::make_unique<std::vector<GraphFile>>(std::move(files))) {
  for (const TensorSpec& spec : tensor_specs(source.config, source.vocabulary_size))
    shapes_.emplace(spec.name, spec.shape);
  for (const GraphFile& file : *files_) values_.emplace_back(file.path);
  place_towers(source);
}

void OnnxWeights::place_towers(const OnnxSource& source) {
  struct Tower {
    const char *name, *input;
    bool GraphWalk::*taken;
    std::vector<GraphStep> GraphWalk::*steps;
    std::vector<LayoutStep> layout;
    int64_t mask_side;
    std::optional<size_t> file;
  };
  Tower towers[] = {{"image tower",
                     "pixels",
                     &GraphWalk::takes_pixels,
                     &GraphWalk::image,
                     image_layout(source.config),
                     0,
                     {}},
                    {"text tower",
                     "token ids",
                     &GraphWalk::takes_tokens,
                     &GraphWalk::text,
                     text_layout(source.config, source.vocabulary_size),
                     source.config.text.context_length,
                     {}}};
  std::optional<double> logit_scale;
  std::vector<std::string> absent;
  for (size_t f = 0; f < files_->size(); ++f) {
    const std::string file_name = (*files_)[f].path.string();
    const GraphWalk walk = walk_graph((*files_)[f].model.graph(), file_name);
    if (!logit_scale) logit_scale = walk.logit_scale;
    for (Tower& tower : towers) {
      if (!(walk.*tower.taken)) continue;
      if (tower.file)
        throw Error(ErrorCode::invalid_argument, file_name + " has the " + tower.name + ", and " +
                                                     (*files_)[*tower.file].path.string() + " has it too");
      tower.file = f;
      const auto found =
          match_tower(tower.layout, walk.*tower.steps, {file_name, tower.name, tower.mask_side});
      for (const auto& [name, tensor] : found) {
        places_[name] = {tensor, f, 0};
        if (tensor.tensor == nullptr) absent.push_back(name);
      }
    }
  }
  for (const Tower& tower : towers)
    if (!tower.file)
      throw Error(ErrorCode::corrupt_weights, files_->front().path.string() + ": the " + tower.name +
                                                  " is missing: no graph takes " + tower.input +
                                                  "; a second file may have it");
  if (!absent.empty()) notes_.push_back("the graphs have no " + sentence(absent) + ": zero");
  // A norm that the configuration asks for and the model never applies is in no graph.
  for (const auto& [name, shape] : shapes_)
    if (!places_.contains(name)) places_[name] = {{}, 0, name.ends_with(".weight") ? 1.0f : 0.0f};
  choose_logit_scale(source, logit_scale);
}

void OnnxWeights::choose_logit_scale(const OnnxSource& source, std::optional<double> of_graphs) {
  std::optional<double> factor = source.logit_scale;
  const char* whence = "as asked for";
  for (const GraphFile& file : *files_)
    if (const std::string* text = metadata(file.model, "mii.logit_scale"); text != nullptr && !factor) {
      factor = positive(*text, file.path.string());
      whence = "from the graph's metadata";
    }
  if (!factor && of_graphs) {
    factor = of_graphs;
    whence = "from the graph";
  }
  if (!factor) {
    factor = kLargestLogitScale;
    whence = "the largest of CLIP's training, as the graphs have none; --logit-scale sets it";
  }
  const auto logarithm = static_cast<float>(std::log(*factor));
  if (!std::isnormal(std::exp(logarithm)))
    throw Error(ErrorCode::corrupt_weights, files_->front().path.string() + ": the factor on the cosine, " +
                                                whence + ", is " + number_text(*factor) +
                                                ", expected a positive number that float32 holds");
  places_["logit_scale"] = {{}, 0, logarithm};
  notes_.push_back("factor on the cosine: " + number_text(std::exp(logarithm)) + ", " + whence);
}

void OnnxWeights::copy_as(DType dtype, const std::string& name, std::byte* to) {
  const auto at = places_.find(name);
  if (at == places_.end()) throw Error(ErrorCode::internal, "no tensor '" + name + "' in this model");
  const auto& [found, file, fill] = at->second;
  const Shape& shape = shapes_.at(name);
  if (found.tensor == nullptr) {
    const std::vector<float> same(static_cast<size_t>(element_count(shape)), fill);
    return mii::copy_as(dtype, {reinterpret_cast<const std::byte*>(same.data()), DType::f32, shape}, name,
                        to);
  }
  AlignedBuffer<std::byte> storage;
  const TensorView stored = values_[file].read(*found.tensor, storage);
  if (!found.transposed) return mii::copy_as(dtype, stored, name, to);
  AlignedBuffer<std::byte> copy(static_cast<size_t>(stored.elements()) * size_of(dtype));
  mii::copy_as(dtype, stored, name, copy.data());
  if (size_of(dtype) == sizeof(float))
    transpose<float>(copy.data(), shape[0], shape[1], to);
  else
    transpose<uint16_t>(copy.data(), shape[0], shape[1], to);
}

}  // namespace mii
