#include "calibration/smoothing.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "mii/error.h"
#include "model/davit.h"
#include "model/weight_reader.h"

namespace mii {
namespace {

// A norm, and the layer that reads nothing else: prefixes of their tensors.
struct NormAndLayer {
  std::string norm;
  std::string layer;
};

bool remove_ending(std::string& text, std::string_view ending) {
  if (!text.ends_with(ending)) return false;
  text.resize(text.size() - ending.size());
  return true;
}

// What comes next after a part of a block.
std::optional<NormAndLayer> after(std::string_view module) {
  std::string block = "image_encoder." + std::string(module);
  if (remove_ending(block, ".conv1")) {
    block += block.ends_with(".spatial_block") ? ".window_attn" : ".channel_attn";
    return NormAndLayer{block + ".norm", block + ".fn.qkv"};
  }
  if (remove_ending(block, ".conv2")) return NormAndLayer{block + ".ffn.norm", block + ".ffn.fn.net.fc1"};
  return std::nullopt;
}

std::string norm_of(const std::string& layer) {
  std::string block = layer;
  if (remove_ending(block, ".net.fc1") || remove_ending(block, ".qkv")) remove_ending(block, ".fn");
  return block + ".norm";
}

// largest[c] = max(largest[c], |values[r, c]|)
void raise(std::span<const float> values, std::vector<float>& largest) {
  for (size_t first = 0; first < values.size(); first += largest.size())
    for (size_t c = 0; c < largest.size(); ++c)
      largest[c] = std::max(largest[c], std::fabs(values[first + c]));
}

float power_of_two(float value) { return std::isnormal(value) ? std::exp2(std::round(std::log2(value))) : 1; }

}  // namespace

void Smoothing::see(std::string_view module, ConstRows x) {
  const std::optional<NormAndLayer> next = after(module);
  if (!next) return;
  const LayerNorm norm = WeightReader(checkpoint_, backend_).layer_norm(next->norm, Davit::kEpsilon);
  Buffer buffer(backend_);
  const Rows normed = buffer.take(x.rows, x.cols);
  backend_.layer_norm(x, norm, normed);
  std::vector<float> values(static_cast<size_t>(x.elements()));
  backend_.download(normed, values);
  raise(values, largest_.try_emplace(next->layer, static_cast<size_t>(x.cols), 0.0f).first->second);
}

ColumnFactors Smoothing::factors() const {
  ColumnFactors factors;
  const WeightReader weights(checkpoint_, backend_);
  for (const auto& [layer, largest] : largest_) {
    if (checkpoint_.dtype(layer + ".weight") == DType::i8)
      throw Error(ErrorCode::invalid_argument, checkpoint_.path().string() +
                                                   ": the weights are int8 already; smoothing needs those of "
                                                   "the model from which they were made");
    std::vector<float> largest_weights(largest.size()), into_weights(largest.size()),
        out_of_norm(largest.size());
    raise(weights.vector(layer + ".weight"), largest_weights);
    for (size_t c = 0; c < largest.size(); ++c) {
      into_weights[c] = power_of_two(std::sqrt(largest[c] / largest_weights[c]));
      out_of_norm[c] = 1 / into_weights[c];
    }
    const std::string norm = norm_of(layer);
    factors[norm + ".weight"] = factors[norm + ".bias"] = out_of_norm;
    factors[layer + ".weight"] = into_weights;
  }
  return factors;
}

}  // namespace mii
