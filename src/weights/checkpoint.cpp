#include "weights/checkpoint.h"

#include <array>
#include <cmath>
#include <set>
#include <utility>

#include "core/int8_matrix.h"
#include "mii/error.h"
#include "weights/safetensors.h"

namespace mii {
namespace {

void add_pair(std::vector<TensorSpec>& specs, const std::string& prefix, Shape weight) {
  const Shape bias{weight[0]};
  specs.push_back({prefix + ".weight", std::move(weight)});
  specs.push_back({prefix + ".bias", bias});
}

void add_block(std::vector<TensorSpec>& specs, const ImageTowerConfig& config, int64_t dim,
               const std::string& block, const std::string& attention) {
  if (config.conv_at_attn) add_pair(specs, block + ".conv1.fn.dw", {dim, 1, 3, 3});
  add_pair(specs, block + "." + attention + ".norm", {dim});
  add_pair(specs, block + "." + attention + ".fn.qkv", {3 * dim, dim});
  add_pair(specs, block + "." + attention + ".fn.proj", {dim, dim});
  if (config.conv_at_ffn) add_pair(specs, block + ".conv2.fn.dw", {dim, 1, 3, 3});
  add_pair(specs, block + ".ffn.norm", {dim});
  add_pair(specs, block + ".ffn.fn.net.fc1", {4 * dim, dim});
  add_pair(specs, block + ".ffn.fn.net.fc2", {dim, 4 * dim});
}

void add_image_tower(std::vector<TensorSpec>& specs, const ImageTowerConfig& config) {
  int64_t in = 3;
  for (size_t s = 0; s < config.stages.size(); ++s) {
    const StageConfig& stage = config.stages[s];
    const std::string conv = "image_encoder.convs." + std::to_string(s);
    add_pair(specs, conv + ".proj", {stage.dim, in, stage.patch_size, stage.patch_size});
    add_pair(specs, conv + ".norm", {stage.patch_prenorm ? in : stage.dim});
    for (int64_t b = 0; b < stage.depth; ++b) {
      const std::string pair = "image_encoder.blocks." + std::to_string(s) + "." + std::to_string(b);
      add_block(specs, config, stage.dim, pair + ".spatial_block", "window_attn");
      add_block(specs, config, stage.dim, pair + ".channel_block", "channel_attn");
    }
    in = stage.dim;
  }
  add_pair(specs, "image_encoder.norms", {in});
}

// A block of CLIP's text transformer.
void add_text_block(std::vector<TensorSpec>& specs, const std::string& block, int64_t width) {
  add_pair(specs, block + ".ln_1", {width});
  specs.push_back({block + ".attn.in_proj_weight", {3 * width, width}});
  specs.push_back({block + ".attn.in_proj_bias", {3 * width}});
  add_pair(specs, block + ".attn.out_proj", {width, width});
  add_pair(specs, block + ".ln_2", {width});
  add_pair(specs, block + ".mlp.c_fc", {4 * width, width});
  add_pair(specs, block + ".mlp.c_proj", {width, 4 * width});
}

void add_text_tower(std::vector<TensorSpec>& specs, const TextTowerConfig& config, int64_t vocabulary_size) {
  const int64_t width = config.width;
  specs.push_back({"lang_encoder.token_embedding.weight", {vocabulary_size, width}});
  specs.push_back({"lang_encoder.positional_embedding", {config.context_length, width}});
  for (int64_t layer = 0; layer < config.layers; ++layer)
    add_text_block(specs, "lang_encoder.resblocks." + std::to_string(layer), width);
  add_pair(specs, "lang_encoder.ln_final", {width});
}

bool replace_prefix(std::string& name, std::string_view from, std::string_view to) {
  if (!name.starts_with(from)) return false;
  name.replace(0, from.size(), to);
  return true;
}

using Renaming = std::pair<const char*, const char*>;

// Inside "image_encoder.blocks.S.B.", the modules of an older checkpoint. The first that matches is taken.
constexpr std::array<Renaming, 12> kBlockNames{{
    {"0.attn.", "spatial_block.window_attn.fn."},
    {"0.cpe.0.proj.", "spatial_block.conv1.fn.dw."},
    {"0.cpe.1.proj.", "spatial_block.conv2.fn.dw."},
    {"0.mlp.", "spatial_block.ffn.fn.net."},
    {"0.norm1.", "spatial_block.window_attn.norm."},
    {"0.norm2.", "spatial_block.ffn.norm."},
    {"1.attn.", "channel_block.channel_attn.fn."},
    {"1.cpe.0.proj.", "channel_block.conv1.fn.dw."},
    {"1.cpe.1.proj.", "channel_block.conv2.fn.dw."},
    {"1.mlp.", "channel_block.ffn.fn.net."},
    {"1.norm1.", "channel_block.channel_attn.norm."},
    {"1.norm2.", "channel_block.ffn.norm."},
}};

// "S.B.0.attn.qkv.weight" to "S.B.spatial_block.window_attn.fn.qkv.weight".
std::string renamed_block(const std::string& rest) {
  const size_t stage_end = rest.find('.');
  const size_t block_end = stage_end == std::string::npos ? stage_end : rest.find('.', stage_end + 1);
  if (block_end == std::string::npos) return rest;
  std::string module = rest.substr(block_end + 1);
  for (const auto& [older, published] : kBlockNames)
    if (replace_prefix(module, older, published)) break;
  return rest.substr(0, block_end + 1) + module;
}

// A list within a sentence: the first ten, and how many more there are.
class Findings {
 public:
  void add(std::string text) { all_.push_back(std::move(text)); }
  bool empty() const { return all_.empty(); }
  std::string sentence(const std::string& title) const {
    constexpr size_t kShown = 10;
    std::string text = std::to_string(all_.size()) + " " + title + ": ";
    for (size_t i = 0; i < std::min(kShown, all_.size()); ++i) text += (i == 0 ? "" : ", ") + all_[i];
    if (all_.size() > kShown) text += " and " + std::to_string(all_.size() - kShown) + " more";
    return text;
  }

 private:
  std::vector<std::string> all_;
};

using Named = std::unordered_map<std::string, const StoredTensor*>;

Named by_published_name(const Safetensors& file, const std::string& path) {
  Named tensors;
  for (const auto& [name, tensor] : file.tensors)
    if (!tensors.emplace(published_name(name), &tensor).second)
      throw Error(ErrorCode::corrupt_weights,
                  path + ": tensor '" + published_name(name) +
                      "' is there twice, under an older name and the published one");
  return tensors;
}

// Element i is multiplied by factors[i % factors.size()].
template <typename Stored, typename Load, typename Round>
void multiply_columns(std::span<std::byte> bytes, std::span<const float> factors, const Load& load,
                      const Round& round) {
  auto* values = reinterpret_cast<Stored*>(bytes.data());  // the buffer is aligned
  const size_t n = bytes.size() / sizeof(Stored), columns = factors.size();
  for (size_t first = 0; first < n; first += columns)
    for (size_t c = 0; c < columns; ++c) values[first + c] = round(load(values[first + c]) * factors[c]);
}

void multiply_columns(DType dtype, std::span<std::byte> bytes, std::span<const float> factors) {
  const auto load = [](auto value) { return to_float(value); };
  const auto same = [](float value) { return value; };
  if (dtype == DType::f32)
    multiply_columns<float>(bytes, factors, same, same);
  else if (dtype == DType::bf16)
    multiply_columns<BFloat16>(bytes, factors, load, to_bfloat16);
  else if (dtype == DType::f16)
    multiply_columns<Float16>(bytes, factors, load, to_float16);
  else
    throw Error(ErrorCode::internal, std::string("no factors on the columns of ") + to_string(dtype));
}

}  // namespace

std::vector<TensorSpec> tensor_specs(const ModelConfig& config, int64_t vocabulary_size) {
  std::vector<TensorSpec> specs;
  add_image_tower(specs, config.image);
  specs.push_back({"image_projection", {config.image.stages.back().dim, config.embedding_dim}});
  add_text_tower(specs, config.text, vocabulary_size);
  specs.push_back({"lang_projection", {config.text.width, config.embedding_dim}});
  specs.push_back({"logit_scale", {}});
  return specs;
}

std::vector<TensorSpec> report_decoder_specs(const ReportDecoderConfig& config) {
  const int64_t width = config.width;
  std::vector<TensorSpec> specs;
  specs.push_back({"report_decoder.token_embedding.weight", {config.vocabulary, width}});
  specs.push_back({"report_decoder.positional_embedding", {config.context_length, width}});
  add_pair(specs, "report_decoder.ln_tokens", {config.image_dim});
  add_pair(specs, "report_decoder.image_projection", {width, config.image_dim});
  add_pair(specs, "report_decoder.ln_image", {width});
  for (int64_t layer = 0; layer < config.layers; ++layer) {
    const std::string block = "report_decoder.resblocks." + std::to_string(layer);
    add_text_block(specs, block, width);
    add_pair(specs, block + ".ln_cross", {width});
    add_pair(specs, block + ".cross.q_proj", {width, width});
    add_pair(specs, block + ".cross.kv_proj", {2 * width, width});
    add_pair(specs, block + ".cross.out_proj", {width, width});
  }
  add_pair(specs, "report_decoder.ln_final", {width});
  return specs;
}

bool is_int8_layer(const TensorSpec& spec) {
  if (spec.shape.size() == 4) return spec.name.starts_with("image_encoder.convs.") && spec.shape[1] > 3;
  return spec.shape.size() == 2 && (spec.name.starts_with("image_encoder.blocks.") ||
                                    spec.name.starts_with("lang_encoder.resblocks.") ||
                                    spec.name.starts_with("report_decoder.resblocks."));
}

std::string scales_name(std::string_view matrix) { return std::string(matrix) + "_scale"; }

std::string published_name(std::string_view given) {
  std::string name(given);
  if (name == "vision_projection") return "image_projection";
  if (name == "text_projection") return "lang_projection";
  if (replace_prefix(name, "text.", "lang_encoder.")) return name;
  replace_prefix(name, "visual.", "image_encoder.");
  replace_prefix(name, "image_encoder.conv_embeds.", "image_encoder.convs.");
  replace_prefix(name, "image_encoder.main_blocks.", "image_encoder.blocks.");
  const std::string blocks = "image_encoder.blocks.";
  return name.starts_with(blocks) ? blocks + renamed_block(name.substr(blocks.size())) : name;
}

Checkpoint Checkpoint::open(const std::filesystem::path& weights_file, const ModelConfig& config,
                            int64_t vocabulary_size) {
  return open(weights_file, tensor_specs(config, vocabulary_size));
}

Checkpoint Checkpoint::open(const std::filesystem::path& weights_file, const std::vector<TensorSpec>& specs) {
  Checkpoint checkpoint(weights_file, WeightsFile::open(weights_file));
  const std::string path = weights_file.string();
  const Safetensors file = read_safetensors_header(checkpoint.file_, path);
  Named found = by_published_name(file, path);

  Findings missing, misshaped;
  std::set<std::string> dtypes;
  for (const TensorSpec& spec : specs) {
    const auto entry = found.extract(spec.name);
    if (entry.empty()) {
      missing.add("'" + spec.name + "' " + to_string(spec.shape));
      continue;
    }
    const TensorView view = entry.mapped()->view(spec.name, path);
    // Some files store a scalar as a tensor of one element.
    const bool scalar = spec.shape.empty() && view.elements() == 1;
    const bool int8 = view.dtype == DType::i8 && is_int8_layer(spec);
    if (view.shape != spec.shape && !scalar)
      misshaped.add("'" + spec.name + "' has " + to_string(view.shape) + ", expected " +
                    to_string(spec.shape));
    if (view.dtype != DType::f32 && view.dtype != DType::f16 && view.dtype != DType::bf16 && !int8)
      misshaped.add("'" + spec.name + "' has dtype " + to_string(view.dtype) + ", expected F32, F16 or BF16");
    checkpoint.parameters_ += static_cast<uint64_t>(view.elements());
    dtypes.insert(to_string(view.dtype));
    checkpoint.places_.emplace(spec.name, Place{entry.mapped()->offset, view});
    if (!int8) continue;
    const auto scales = found.extract(scales_name(spec.name));
    const Shape rows{spec.shape[0]};
    if (scales.empty()) {
      missing.add("'" + scales_name(spec.name) + "' " + to_string(rows));
      continue;
    }
    const TensorView factors = scales.mapped()->view(scales_name(spec.name), path);
    if (factors.shape != rows || factors.dtype != DType::f32)
      misshaped.add("'" + scales_name(spec.name) + "' is " + to_string(factors.dtype) + " " +
                    to_string(factors.shape) + ", expected F32 " + to_string(rows));
    checkpoint.scale_places_.emplace(spec.name, Place{scales.mapped()->offset, factors});
  }
  std::string wrong;
  if (!missing.empty()) wrong += missing.sentence("tensors are missing");
  if (!misshaped.empty())
    wrong += (wrong.empty() ? "" : "; ") + misshaped.sentence("tensors do not fit the configuration");
  if (!wrong.empty()) throw Error(ErrorCode::corrupt_weights, path + ": " + wrong);

  Findings extra;
  for (const auto& [name, tensor] :
       std::set<std::pair<std::string, const StoredTensor*>>(found.begin(), found.end()))
    extra.add("'" + name + "'");
  if (!extra.empty()) checkpoint.warnings_.push_back(path + ": " + extra.sentence("tensors are not used"));
  checkpoint.stored_dtype_ = dtypes.size() == 1 ? *dtypes.begin() : "mixed";
  return checkpoint;
}

const Checkpoint::Place& Checkpoint::place(const std::string& name) const {
  const auto found = places_.find(name);
  if (found == places_.end()) throw Error(ErrorCode::internal, "no tensor '" + name + "' in this model");
  return found->second;
}

TensorView Checkpoint::tensor(std::string_view given) const {
  const std::string name(given);
  const Place& from = place(name);
  const std::lock_guard lock(loaded_->mutex);
  auto loaded = loaded_->tensors.find(name);
  if (loaded == loaded_->tensors.end()) {
    AlignedBuffer<std::byte> bytes = std::exchange(loaded_->room, {});
    bytes.reserve_discarding(from.view.bytes());
    const std::span<std::byte> values = bytes.span().first(from.view.bytes());
    file_.read(from.offset, values);
    if (const auto factors = column_factors_.find(name); factors != column_factors_.end())
      multiply_columns(from.view.dtype, values, factors->second);
    loaded = loaded_->tensors.emplace(name, std::move(bytes)).first;
  }
  return {loaded->second.data(), from.view.dtype, from.view.shape};
}

std::vector<float> Checkpoint::scales(std::string_view given) const {
  const std::string name(given);
  const Place& from = scale_places_.at(name);
  std::vector<float> scales(static_cast<size_t>(from.view.elements()));
  file_.read(from.offset, std::as_writable_bytes(std::span(scales)));
  for (size_t i = 0; i < scales.size(); ++i)
    if (!std::isfinite(scales[i]) || scales[i] <= 0)
      throw Error(ErrorCode::corrupt_weights, "tensor '" + scales_name(name) + "' has " +
                                                  std::to_string(scales[i]) + " at position " +
                                                  std::to_string(i) + ", expected a positive finite number");
  return scales;
}

void Checkpoint::copy_int8_as(DType dtype, const TensorView& tensor, std::string_view name,
                              std::byte* to) const {
  const int64_t rows = tensor.shape[0], elements = tensor.elements();
  AlignedBuffer<float> values(static_cast<size_t>(elements));
  dequantise_matrix(reinterpret_cast<const int8_t*>(tensor.data), scales(name).data(), rows, elements / rows,
                    values.data());
  mii::copy_as(dtype, {reinterpret_cast<const std::byte*>(values.data()), DType::f32, tensor.shape}, name,
               to);
}

void Checkpoint::copy_as(DType dtype, std::string_view name, std::byte* to) const {
  const TensorView from = tensor(name);
  if (from.dtype == DType::i8)
    copy_int8_as(dtype, from, name, to);
  else
    mii::copy_as(dtype, from, name, to);
  release(from);
}

void Checkpoint::release(const TensorView& tensor) const {
  const std::lock_guard lock(loaded_->mutex);
  for (auto loaded = loaded_->tensors.begin(); loaded != loaded_->tensors.end(); ++loaded) {
    if (loaded->second.data() != tensor.data) continue;
    if (loaded->second.size() > loaded_->room.size()) loaded_->room = std::move(loaded->second);
    loaded_->tensors.erase(loaded);
    return;
  }
}

void Checkpoint::free_room() const {
  const std::lock_guard lock(loaded_->mutex);
  loaded_->room = {};
}

void Checkpoint::read_row(std::string_view given, int64_t row, float* to) const {
  const std::string name(given);
  const Place& from = place(name);
  const int64_t cols = from.view.shape.at(1);
  std::vector<std::byte> bytes(static_cast<size_t>(cols) * size_of(from.view.dtype));
  file_.read(from.offset + static_cast<uint64_t>(row) * bytes.size(), bytes);
  copy_as_float({bytes.data(), from.view.dtype, {cols}}, name, to);
}

}  // namespace mii
