#include "train/towers.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "weights/checkpoint.h"

namespace mii {
namespace {

namespace F = torch::nn::functional;
using torch::Tensor;

constexpr double kImageEpsilon = 1e-5;
constexpr double kTextEpsilon = 1e-12;

bool ends_with(const std::string& name, std::string_view end) { return name.ends_with(end); }

// x + branch; drop path leaves the branch out for single images. factors: [images], or undefined.
Tensor add_branch(const Tensor& x, const Tensor& branch, const Tensor& factors) {
  if (!factors.defined()) return x + branch;
  return torch::addcmul(x, branch, factors.to(branch.dtype()).reshape({-1, 1, 1, 1}));
}

int64_t branch_count(const ModelConfig& config) {
  int64_t blocks = 0;
  for (const StageConfig& stage : config.image.stages) blocks += 2 * stage.depth;
  return 2 * blocks;
}

}  // namespace

Tensor initial_value(const TensorSpec& spec) {
  const auto shape = torch::IntArrayRef(spec.shape);
  if (spec.name == "logit_scale") return torch::full({}, std::log(1 / 0.07), torch::kFloat32);
  if (spec.shape.size() == 4) {  // [out, in / groups, height, width]
    const bool depthwise = spec.shape[1] == 1;
    const double fan_out =
        static_cast<double>(spec.shape[2] * spec.shape[3] * (depthwise ? 1 : spec.shape[0]));
    return torch::randn(shape) * std::sqrt((depthwise ? 0.5 : 2.0) / fan_out);
  }
  if (spec.shape.size() == 2) {
    // Keeps outputs as large as inputs. The reference's 0.02 does that at a width of 2500; at widths of 32 to
    // 256 it would leave the branches near zero for the first epochs.
    const bool embedding = spec.name.find("embedding") != std::string::npos;
    const double inputs =
        static_cast<double>(ends_with(spec.name, "_projection") ? spec.shape[0] : spec.shape[1]);
    return torch::randn(shape).clamp_(-2, 2) * (embedding ? 0.02 : 1 / std::sqrt(inputs));
  }
  const bool norm_weight = ends_with(spec.name, "weight");  // the only vectors of that name
  return norm_weight ? torch::ones(shape) : torch::zeros(shape);
}

Parameters initial_parameters(const ModelConfig& config, int64_t vocabulary_size) {
  Parameters parameters;
  for (const TensorSpec& spec : tensor_specs(config, vocabulary_size))
    parameters.emplace(spec.name, initial_value(spec));
  return parameters;
}

Tensor drop_path_factors(const ModelConfig& config, int64_t images, double rate, Random& random) {
  const int64_t branches = branch_count(config), blocks = branches / 2;
  Tensor factors = torch::empty({branches, images});
  float* to = factors.data_ptr<float>();
  for (int64_t branch = 0; branch < branches; ++branch) {
    const auto here = static_cast<float>(rate * static_cast<double>(branch / 2) /
                                         static_cast<double>(std::max<int64_t>(blocks - 1, 1)));
    for (int64_t i = 0; i < images; ++i) *to++ = random.chance(here) ? 0.0f : 1 / (1 - here);
  }
  return factors;
}

Tensor Towers::layer_norm(const Tensor& x, const std::string& name, double epsilon) const {
  const Tensor& weight = p(name + ".weight");
  return torch::layer_norm(x, {weight.size(0)}, weight, p(name + ".bias"), epsilon);
}

Tensor Towers::linear(const Tensor& x, const std::string& name) const {
  return torch::linear(x, p(name + ".weight"), p(name + ".bias"));
}

Tensor Towers::norm_before_patches(size_t s, const Tensor& x) const {
  const bool norm_first =
      config_.image.stages[s].patch_prenorm && s > 0;  // a norm over pixels is never applied
  return norm_first ? layer_norm(x, "image_encoder.convs." + std::to_string(s) + ".norm", kImageEpsilon) : x;
}

// x [B, H, W, C] to the patches of the next stage, in the same layout.
Tensor Towers::embed_patches(size_t s, const Tensor& x) const {
  const StageConfig& stage = config_.image.stages[s];
  const std::string name = "image_encoder.convs." + std::to_string(s);
  Tensor y = torch::conv2d(x.permute({0, 3, 1, 2}), p(name + ".proj.weight"), p(name + ".proj.bias"),
                           stage.patch_stride, stage.patch_padding);
  y = y.permute({0, 2, 3, 1}).contiguous();
  return stage.patch_prenorm ? y : layer_norm(y, name + ".norm", kImageEpsilon);
}

Tensor Towers::convolve(const Tensor& x, const std::string& name) const {
  const auto weight = parameters_.find(name + ".weight");
  return weight == parameters_.end() ? x : add_depthwise_conv(x, weight->second, p(name + ".bias"));
}

Tensor Towers::window_attention(const Tensor& x, const std::string& name, const StageConfig& stage) const {
  const int64_t b = x.size(0), h = x.size(1), w = x.size(2), c = x.size(3);
  const int64_t size = config_.image.window_size;
  const int64_t rows = (h + size - 1) / size, columns = (w + size - 1) / size;
  const int64_t d = c / stage.heads;
  // A padding token is zero before the linear layer, so its q, k and v are the bias.
  Tensor qkv = torch::linear(x, p(name + ".qkv.weight"));
  if (rows * size != h || columns * size != w)
    qkv = torch::constant_pad_nd(qkv, {0, 0, 0, columns * size - w, 0, rows * size - h});
  qkv = (qkv + p(name + ".qkv.bias"))
            .reshape({b, rows, size, columns, size, 3, stage.heads, d})
            .permute({5, 0, 1, 3, 6, 2, 4, 7})
            .reshape({3, b * rows * columns, stage.heads, size * size, d});
  const Tensor scores =
      torch::matmul(qkv[0] * std::pow(static_cast<double>(d), -0.5), qkv[1].transpose(-2, -1));
  Tensor y = torch::matmul(torch::softmax(scores, -1), qkv[2])
                 .reshape({b, rows, columns, stage.heads, size, size, d})
                 .permute({0, 1, 4, 2, 5, 3, 6})
                 .reshape({b, rows * size, columns * size, c});
  if (rows * size != h || columns * size != w) y = y.slice(1, 0, h).slice(2, 0, w);
  return linear(y, name + ".proj");
}

Tensor Towers::channel_attention(const Tensor& x, const std::string& name, const StageConfig& stage) const {
  const int64_t b = x.size(0), h = x.size(1), w = x.size(2), c = x.size(3);
  const int64_t n = h * w, d = c / stage.groups;
  const double scale = std::pow(static_cast<double>(config_.image.dynamic_scale ? n : c), -0.5);
  const Tensor qkv = linear(x, name + ".qkv").reshape({b, n, 3, stage.groups, d}).permute({2, 0, 3, 4, 1});
  const Tensor scores = torch::matmul(qkv[0] * scale, qkv[1].transpose(-2, -1));  // [B, groups, d, d]
  const Tensor y = torch::matmul(torch::softmax(scores, -1), qkv[2]);             // [B, groups, d, N]
  return linear(y.permute({0, 3, 1, 2}).reshape({b, h, w, c}), name + ".proj");
}

Tensor Towers::block(Tensor x, const std::string& name, const StageConfig& stage, bool spatial,
                     const Tensor& factors) const {
  const auto factor = [&](int64_t branch) { return factors.defined() ? factors[branch] : Tensor(); };
  const std::string attention = name + (spatial ? ".window_attn" : ".channel_attn");
  x = convolve(x, name + ".conv1.fn.dw");
  const Tensor normed = layer_norm(x, attention + ".norm", kImageEpsilon);
  x = add_branch(x,
                 spatial ? window_attention(normed, attention + ".fn", stage)
                         : channel_attention(normed, attention + ".fn", stage),
                 factor(0));
  x = convolve(x, name + ".conv2.fn.dw");
  const std::string ffn = name + ".ffn.fn.net";
  const Tensor hidden = torch::gelu(linear(layer_norm(x, name + ".ffn.norm", kImageEpsilon), ffn + ".fc1"));
  return add_branch(x, linear(hidden, ffn + ".fc2"), factor(1));
}

Tensor Towers::encode_images(const Tensor& pixels, const Tensor& branch_factors) const {
  int64_t branch = 0;
  Tensor x = pixels.permute({0, 2, 3, 1});
  for (size_t s = 0; s < config_.image.stages.size(); ++s)
    x = compute_stage(s, norm_before_patches(s, x), branch_factors, branch);
  return pool(x);
}

Tensor Towers::encode_patches_of(const Tensor& x) const {
  int64_t branch = 0;
  return pool(compute_stage(config_.image.stages.size() - 1, x, {}, branch));
}

// x: what patches are cut from. branch: the first residual branch of the stage, and then of the next.
Tensor Towers::compute_stage(size_t s, Tensor x, const Tensor& branch_factors, int64_t& branch) const {
  const StageConfig& stage = config_.image.stages[s];
  x = embed_patches(s, x);
  for (int64_t pair = 0; pair < stage.depth; ++pair) {
    const std::string name = "image_encoder.blocks." + std::to_string(s) + "." + std::to_string(pair);
    for (const bool spatial : {true, false}) {
      x = block(x, name + (spatial ? ".spatial_block" : ".channel_block"), stage, spatial,
                branch_factors.defined() ? branch_factors.slice(0, branch, branch + 2) : Tensor());
      branch += 2;
    }
  }
  return x;
}

Tensor Towers::pool(const Tensor& x) const {
  const Tensor pooled = layer_norm(x.mean({1, 2}), "image_encoder.norms", kImageEpsilon);
  return F::normalize(torch::matmul(pooled, p("image_projection")).to(torch::kFloat32));
}

Tensor Towers::encode_texts(const TextBatch& texts) const {
  const TextTowerConfig& config = config_.text;
  const int64_t b = texts.ids.size(0), n = texts.ids.size(1), d = config.width / config.heads;
  const Tensor positions = torch::arange(n, texts.ids.options());
  Tensor blocked = positions.unsqueeze(0) >= texts.lengths.unsqueeze(1);  // [B, N]: keys that are padding
  blocked = blocked.reshape({b, 1, 1, n});
  if (config.causal) blocked = blocked | (positions.unsqueeze(0) > positions.unsqueeze(1));

  Tensor x = torch::embedding(p("lang_encoder.token_embedding.weight"), texts.ids) +
             p("lang_encoder.positional_embedding").slice(0, 0, n);
  for (int64_t layer = 0; layer < config.layers; ++layer) {
    const std::string name = "lang_encoder.resblocks." + std::to_string(layer);
    const Tensor qkv = torch::linear(layer_norm(x, name + ".ln_1", kTextEpsilon),
                                     p(name + ".attn.in_proj_weight"), p(name + ".attn.in_proj_bias"))
                           .reshape({b, n, 3, config.heads, d})
                           .permute({2, 0, 3, 1, 4});
    const Tensor scores =
        torch::matmul(qkv[0] * std::pow(static_cast<double>(d), -0.5), qkv[1].transpose(-2, -1))
            .masked_fill(blocked, -1e9);
    const Tensor y =
        torch::matmul(torch::softmax(scores, -1), qkv[2]).transpose(1, 2).reshape({b, n, config.width});
    x = x + linear(y, name + ".attn.out_proj");
    const Tensor hidden = linear(layer_norm(x, name + ".ln_2", kTextEpsilon), name + ".mlp.c_fc");
    x = x + linear(hidden * torch::sigmoid(1.702 * hidden), name + ".mlp.c_proj");
  }
  // The vector is read at the first largest id, the end token.
  const Tensor end =
      texts.ids.masked_fill(positions.unsqueeze(0) >= texts.lengths.unsqueeze(1), -1).argmax(1);
  x = x.index({torch::arange(b, texts.ids.options()), end});
  x = layer_norm(x, "lang_encoder.ln_final", kTextEpsilon);
  return F::normalize(torch::matmul(x, p("lang_projection")).to(torch::kFloat32));
}

}  // namespace mii
