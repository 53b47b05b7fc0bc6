#include "train/state.h"

#include <ATen/autocast_mode.h>
#include <torch/version.h>

#include <algorithm>
#include <charconv>
#include <sstream>
#include <vector>

#include "core/file.h"
#include "mii/error.h"
#include "weights/checkpoint.h"
#include "weights/safetensors.h"

namespace mii {
namespace {

using torch::Tensor;

constexpr int64_t kMaxPartBytes = (15 << 20) - (256 << 10);  // room for the header

struct Group {
  const char* prefix;
  Parameters TrainState::*tensors;
};
constexpr Group kGroups[] = {{"parameters/", &TrainState::parameters},
                             {"average/", &TrainState::average},
                             {"first_moment/", &TrainState::first_moment},
                             {"second_moment/", &TrainState::second_moment}};

void write_tensors(const std::vector<std::pair<std::string, Tensor>>& tensors,
                   const std::filesystem::path& file, const std::map<std::string, std::string>& metadata) {
  std::vector<SafetensorsWriter::Entry> entries;
  for (const auto& [name, tensor] : tensors) entries.push_back({name, DType::f32, tensor.sizes().vec()});
  SafetensorsWriter writer(file, entries, metadata);
  for (const auto& [name, tensor] : tensors) {
    const Tensor plain = tensor.detach().to(torch::kCPU, torch::kFloat32).contiguous();
    writer.write(std::as_bytes(std::span(plain.data_ptr<float>(), static_cast<size_t>(plain.numel()))));
  }
  writer.commit();
}

torch::ScalarType scalar_type(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return torch::kFloat32;
    case DType::f16:
      return torch::kFloat16;
    case DType::bf16:
      return torch::kBFloat16;
    case DType::f64:
      return torch::kFloat64;
    case DType::i64:
      return torch::kInt64;
    case DType::i32:
      return torch::kInt32;
    case DType::u8:
      return torch::kUInt8;
    case DType::i8:
      return torch::kInt8;
  }
  throw Error(ErrorCode::internal, "unknown type");
}

std::filesystem::path part_path(const std::filesystem::path& folder, size_t number) {
  std::string digits = std::to_string(number);
  digits.insert(0, digits.size() < 3 ? 3 - digits.size() : 0, '0');
  return folder / ("state-" + digits + ".safetensors");
}

}  // namespace

Tensor tensor_of(const TensorView& view) {
  Tensor tensor = torch::empty(torch::IntArrayRef(view.shape), scalar_type(view.dtype));
  std::copy_n(view.data, view.bytes(), static_cast<std::byte*>(tensor.data_ptr()));
  return tensor.to(torch::kFloat32);
}

void write_state(const TrainState& state, const std::filesystem::path& folder,
                 const std::string& fingerprint) {
  const std::filesystem::path fresh = folder.string() + ".new", old = folder.string() + ".old";
  std::filesystem::remove_all(fresh);
  std::filesystem::create_directories(fresh);
  std::vector<std::vector<std::pair<std::string, Tensor>>> parts(1);
  int64_t bytes = 0;
  for (const Group& group : kGroups) {
    for (const auto& [name, tensor] : state.*group.tensors) {
      const int64_t size = tensor.numel() * static_cast<int64_t>(sizeof(float));
      if (bytes > 0 && bytes + size > kMaxPartBytes) {
        parts.emplace_back();
        bytes = 0;
      }
      parts.back().emplace_back(group.prefix + name, tensor);
      bytes += size;
    }
  }
  std::ostringstream best;
  best.precision(17);
  best << state.best;
  for (size_t i = 0; i < parts.size(); ++i)
    write_tensors(parts[i], part_path(fresh, i + 1),
                  {{"step", std::to_string(state.step)},
                   {"best", best.str()},
                   {"parts", std::to_string(parts.size())},
                   {"run", fingerprint}});
  std::filesystem::remove_all(old);
  if (std::filesystem::exists(folder)) rename_durably(folder, old);
  rename_durably(fresh, folder);
  std::filesystem::remove_all(old);
}

TrainState read_state(const std::filesystem::path& folder, const std::string& fingerprint,
                      const TrainState& like) {
  // A process killed between the two renames of write_state leaves the state under the other name.
  const std::filesystem::path old = folder.string() + ".old";
  const std::filesystem::path from =
      !std::filesystem::exists(folder) && std::filesystem::exists(old) ? old : folder;
  TrainState state = like;
  size_t parts = 1, read = 0;
  for (size_t part = 1; part <= parts; ++part) {
    const auto path = part_path(from, part);
    const MappedFile file = MappedFile::open(path);
    const Safetensors content = parse_safetensors(file.bytes(), path.string());
    const auto text = [&](const std::string& key) {
      const auto found = content.metadata.find(key);
      if (found == content.metadata.end())
        throw Error(ErrorCode::corrupt_weights, path.string() + ": has no metadata '" + key + "'");
      return found->second;
    };
    if (text("run") != fingerprint)
      throw Error(ErrorCode::invalid_argument,
                  from.string() + " belongs to a run with other options: it was started with " + text("run") +
                      "; asked for now: " + fingerprint);
    const std::string count = text("parts"), step = text("step");
    std::from_chars(count.data(), count.data() + count.size(), parts);
    std::from_chars(step.data(), step.data() + step.size(), state.step);
    state.best = std::atof(text("best").c_str());
    for (const auto& [name, stored] : content.tensors) {
      const auto group = std::find_if(std::begin(kGroups), std::end(kGroups),
                                      [&](const Group& g) { return name.starts_with(g.prefix); });
      if (group == std::end(kGroups))
        throw Error(ErrorCode::corrupt_weights, path.string() + ": unknown tensor '" + name + "'");
      Parameters& tensors = state.*group->tensors;
      const auto found = tensors.find(name.substr(std::string_view(group->prefix).size()));
      if (found == tensors.end() || found->second.sizes() != torch::IntArrayRef(stored.shape))
        throw Error(ErrorCode::corrupt_weights,
                    path.string() + ": tensor '" + name + "' is not of this model");
      found->second = tensor_of(stored.view(name, path.string()));
      ++read;
    }
  }
  size_t expected = 0;
  for (const Group& group : kGroups) expected += (state.*group.tensors).size();
  if (read != expected)
    throw Error(ErrorCode::corrupt_weights, from.string() + ": has " + std::to_string(read) +
                                                " tensors, expected " + std::to_string(expected));
  return state;
}

Parameters load_parameters(const std::filesystem::path& file, const ModelConfig& config,
                           int64_t vocabulary_size) {
  const Checkpoint checkpoint = Checkpoint::open(file, config, vocabulary_size);
  Parameters parameters;
  for (const TensorSpec& spec : tensor_specs(config, vocabulary_size)) {
    const TensorView view = checkpoint.tensor(spec.name);
    if (view.dtype == DType::i8)
      throw Error(ErrorCode::unsupported,
                  file.string() + ": its weights are int8; train from a folder with f32 or bf16 weights");
    parameters.emplace(spec.name, tensor_of(view));
    checkpoint.release(view);
  }
  return parameters;
}

void save_parameters(const Parameters& parameters, const ModelConfig& config, int64_t vocabulary_size,
                     const std::filesystem::path& file) {
  save_parameters(parameters, tensor_specs(config, vocabulary_size), file);
}

void save_parameters(const Parameters& parameters, const std::vector<TensorSpec>& specs,
                     const std::filesystem::path& file) {
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const TensorSpec& spec : specs) tensors.emplace_back(spec.name, parameters.at(spec.name));
  write_tensors(tensors, file, {{"format", "pt"}});
}

#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
static void set_autocast(bool on) {
  at::autocast::set_autocast_enabled(at::kCUDA, on);
  at::autocast::set_autocast_dtype(at::kCUDA, at::kBFloat16);
}
#else
static void set_autocast(bool on) {
  at::autocast::set_enabled(on);
  at::autocast::set_autocast_gpu_dtype(at::kBFloat16);
}
#endif

MixedPrecision::MixedPrecision(torch::Device device) : on_(device.is_cuda()) {
  if (on_) set_autocast(true);
}

MixedPrecision::~MixedPrecision() {
  if (!on_) return;
  at::autocast::clear_cache();
  set_autocast(false);
}

}  // namespace mii
