#include "train/report_layers.h"

#include <cmath>

#include "weights/checkpoint.h"

namespace mii {

using torch::Tensor;

namespace {

constexpr double kEpsilon = 1e-12;

}  // namespace

Parameters initial_report_parameters(const ReportDecoderConfig& config) {
  Parameters parameters;
  for (const TensorSpec& spec : report_decoder_specs(config)) {
    Tensor value = initial_value(spec);
    if (spec.name.ends_with(".cross.out_proj.weight")) value.zero_();
    parameters.emplace(spec.name, std::move(value));
  }
  return parameters;
}

int64_t begin_with_text_tower(const Parameters& text_tower, Parameters& decoder) {
  constexpr std::string_view kOurs = "report_decoder.";
  int64_t copied = 0;
  for (auto& [name, value] : decoder) {
    const auto found = text_tower.find("lang_encoder." + name.substr(kOurs.size()));
    if (found == text_tower.end()) continue;
    const Tensor& from = found->second;
    const bool positions = name.ends_with("positional_embedding");  // as many as there are in both
    if (from.sizes().slice(1) != value.sizes().slice(1) || (!positions && from.size(0) != value.size(0)))
      continue;
    const int64_t rows = std::min(from.size(0), value.size(0));
    value.slice(0, 0, rows).copy_(from.slice(0, 0, rows));
    ++copied;
  }
  return copied;
}

Tensor ReportLayers::layer_norm(const Tensor& x, const std::string& name) const {
  const Tensor& weight = p(name + ".weight");
  return torch::layer_norm(x, {weight.size(0)}, weight, p(name + ".bias"), kEpsilon);
}

Tensor ReportLayers::linear(const Tensor& x, const std::string& name) const {
  return torch::linear(x, p(name + ".weight"), p(name + ".bias"));
}

// q: [B, T, width], k and v: [B, keys, width]; returns [B, T, width].
Tensor ReportLayers::attention(const Tensor& q, const Tensor& k, const Tensor& v, bool causal) const {
  const int64_t b = q.size(0), d = config_.width / config_.heads;
  const auto by_heads = [&](const Tensor& x) {
    return x.reshape({b, x.size(1), config_.heads, d}).transpose(1, 2);
  };
  Tensor scores =
      torch::matmul(by_heads(q) * std::pow(static_cast<double>(d), -0.5), by_heads(k).transpose(-2, -1));
  if (causal) {
    const Tensor ahead = torch::ones({q.size(1), k.size(1)}, q.options().dtype(torch::kBool)).triu(1);
    scores = scores.masked_fill(ahead, -1e9);
  }
  return torch::matmul(torch::softmax(scores, -1), by_heads(v)).transpose(1, 2).reshape(q.sizes());
}

Tensor ReportLayers::states(const Tensor& tokens, const Tensor& ids, const Dropout& dropout) const {
  const auto drop = [&](const Tensor& x) {
    if (dropout.rate == 0) return x;
    if (!x.is_cpu()) return torch::dropout(x, dropout.rate, true);
    return x * torch::empty_like(x).bernoulli_(1 - dropout.rate, dropout.generator) / (1 - dropout.rate);
  };
  const Tensor image = layer_norm(linear(layer_norm(tokens, "ln_tokens"), "image_projection"), "ln_image");
  Tensor x = drop(torch::embedding(p("token_embedding.weight"), ids) +
                  p("positional_embedding").slice(0, 0, ids.size(1)));
  for (int64_t layer = 0; layer < config_.layers; ++layer) {
    const std::string name = "resblocks." + std::to_string(layer);
    const auto qkv = torch::linear(layer_norm(x, name + ".ln_1"), p(name + ".attn.in_proj_weight"),
                                   p(name + ".attn.in_proj_bias"))
                         .chunk(3, -1);
    x = x + drop(linear(attention(qkv[0], qkv[1], qkv[2], true), name + ".attn.out_proj"));
    const Tensor query = linear(layer_norm(x, name + ".ln_cross"), name + ".cross.q_proj");
    const auto kv = linear(image, name + ".cross.kv_proj").chunk(2, -1);
    x = x + drop(linear(attention(query, kv[0], kv[1], false), name + ".cross.out_proj"));
    const Tensor hidden = linear(layer_norm(x, name + ".ln_2"), name + ".mlp.c_fc");
    x = x + drop(linear(hidden * torch::sigmoid(1.702 * hidden), name + ".mlp.c_proj"));
  }
  return layer_norm(x, "ln_final");
}

Tensor ReportLayers::logits(const Tensor& states) const {
  return torch::matmul(states, p("token_embedding.weight").t());
}

}  // namespace mii
