#include "onnx/tower_layout.h"

#include <map>

namespace mii {
namespace {

class Layout {
 public:
  explicit Layout(const std::vector<TensorSpec>& specs) {
    for (const TensorSpec& spec : specs) shapes_.emplace(spec.name, spec.shape);
  }

  void mark(StepKind kind) { steps_.push_back({.kind = kind, .tensor = {}, .form = {}}); }

  LayoutStep& add(StepKind kind, const std::string& tensor) {
    steps_.push_back({.kind = kind, .tensor = {tensor, shapes_.at(tensor)}, .form = {}});
    return steps_.back();
  }

  void bias(const std::string& tensor) { add(StepKind::addend, tensor).may_be_absent = true; }

  void norm(const std::string& prefix) {
    add(StepKind::scale, prefix + ".weight");
    add(StepKind::addend, prefix + ".bias");
  }

  void convolution(const std::string& prefix, const ConvolutionForm& form) {
    add(StepKind::kernel, prefix + ".weight").form = form;
    bias(prefix + ".bias");
  }

  void linear(const std::string& weight, const std::string& bias_name) {
    add(StepKind::matrix, weight);
    bias(bias_name);
  }
  void linear(const std::string& prefix) { linear(prefix + ".weight", prefix + ".bias"); }

  void projection(const std::string& tensor) { add(StepKind::matrix, tensor).output_first = false; }

  void feed_forward(const std::string& fc1, StepKind activation, const std::string& fc2) {
    linear(fc1);
    mark(activation);
    linear(fc2);
  }

  std::vector<LayoutStep> take() { return std::move(steps_); }

 private:
  std::map<std::string, Shape> shapes_;
  std::vector<LayoutStep> steps_;
};

void add_block(Layout& layout, const ImageTowerConfig& config, int64_t dim, const std::string& block,
               const std::string& name) {
  const ConvolutionForm depthwise{.stride = 1, .padding = 1, .groups = dim};
  const std::string attention = block + "." + name;
  if (config.conv_at_attn) layout.convolution(block + ".conv1.fn.dw", depthwise);
  layout.norm(attention + ".norm");
  layout.linear(attention + ".fn.qkv");
  layout.mark(StepKind::softmax);
  layout.linear(attention + ".fn.proj");
  if (config.conv_at_ffn) layout.convolution(block + ".conv2.fn.dw", depthwise);
  layout.norm(block + ".ffn.norm");
  layout.feed_forward(block + ".ffn.fn.net.fc1", StepKind::gelu, block + ".ffn.fn.net.fc2");
}

}  // namespace

std::vector<LayoutStep> image_layout(const ModelConfig& config) {
  Layout layout(tensor_specs(config, 0));
  for (size_t s = 0; s < config.image.stages.size(); ++s) {
    const StageConfig& stage = config.image.stages[s];
    const std::string conv = "image_encoder.convs." + std::to_string(s);
    if (stage.patch_prenorm && s > 0) layout.norm(conv + ".norm");  // never of pixels
    layout.convolution(conv + ".proj",
                       {.stride = stage.patch_stride, .padding = stage.patch_padding, .groups = 1});
    if (!stage.patch_prenorm) layout.norm(conv + ".norm");
    for (int64_t b = 0; b < stage.depth; ++b) {
      const std::string pair = "image_encoder.blocks." + std::to_string(s) + "." + std::to_string(b);
      add_block(layout, config.image, stage.dim, pair + ".spatial_block", "window_attn");
      add_block(layout, config.image, stage.dim, pair + ".channel_block", "channel_attn");
    }
  }
  layout.norm("image_encoder.norms");
  layout.projection("image_projection");
  return layout.take();
}

std::vector<LayoutStep> text_layout(const ModelConfig& config, int64_t vocabulary_size) {
  Layout layout(tensor_specs(config, vocabulary_size));
  layout.add(StepKind::table, "lang_encoder.token_embedding.weight");
  layout.add(StepKind::addend, "lang_encoder.positional_embedding");
  for (int64_t i = 0; i < config.text.layers; ++i) {
    const std::string block = "lang_encoder.resblocks." + std::to_string(i);
    layout.norm(block + ".ln_1");
    layout.linear(block + ".attn.in_proj_weight", block + ".attn.in_proj_bias");
    layout.mark(StepKind::softmax);
    layout.linear(block + ".attn.out_proj");
    layout.norm(block + ".ln_2");
    layout.feed_forward(block + ".mlp.c_fc", StepKind::sigmoid, block + ".mlp.c_proj");
  }
  layout.norm("lang_encoder.ln_final");
  layout.projection("lang_projection");
  return layout.take();
}

}  // namespace mii
