#include "onnx/image_graph.h"

#include <cmath>
#include <string>

#include "onnx/layers.h"

namespace mii {
namespace {

constexpr float kEpsilon = 1e-5f;

int64_t round_up(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

// One stage's sizes, and the graph that is being written. x: the residual stream, rows [B*H*W, C].
struct Stage {
  GraphBuilder& graph;
  const ImageTowerConfig& tower;
  const StageConfig& config;
  Grid grid;

  int64_t dim() const { return config.dim; }
  GraphValue rows(const GraphValue& x) const { return graph.reshape(x, {-1, dim()}); }
};

// [B*H*W, C] to [B, C, H, W], and back.
GraphValue to_planes(GraphBuilder& graph, const GraphValue& x, const Grid& grid, int64_t channels) {
  return graph.transpose(graph.reshape(x, {-1, grid.height, grid.width, channels}), {0, 3, 1, 2});
}
GraphValue from_planes(GraphBuilder& graph, const GraphValue& x, int64_t channels) {
  return graph.reshape(graph.transpose(x, {0, 2, 3, 1}), {-1, channels});
}

// x += depthwise_conv(x)
GraphValue convolve(const Stage& stage, const GraphValue& x, const std::string& prefix) {
  GraphBuilder& graph = stage.graph;
  const GraphValue planes = to_planes(graph, x, stage.grid, stage.dim());
  const GraphValue y =
      graph.node("Conv", {planes, graph.weight(prefix + ".weight"), graph.weight(prefix + ".bias")},
                 {{"group", stage.dim()},
                  {"kernel_shape", std::vector<int64_t>{3, 3}},
                  {"pads", std::vector<int64_t>{1, 1, 1, 1}}});
  return from_planes(graph, graph.node("Add", {y, planes}), stage.dim());
}

// q|k|v of the tokens of padded windows, [B, padded height, padded width, 3C]: a padding token is zero after
// the norm, so its q, k and v are the bias.
GraphValue padded_qkv(const Stage& stage, const GraphValue& normed, const std::string& prefix, int64_t height,
                      int64_t width) {
  GraphBuilder& graph = stage.graph;
  const auto& [h, w] = stage.grid;
  const std::vector<int64_t> shape{-1, h, w, 3 * stage.dim()};
  if (height == h && width == w)
    return graph.reshape(linear(graph, normed, prefix + ".weight", prefix + ".bias"), shape);
  const GraphValue products = graph.reshape(linear(graph, normed, prefix + ".weight", ""), shape);
  const GraphValue padded =
      graph.node("Pad", {products, graph.integers({0, 0, 0, 0, 0, height - h, width - w, 0})});
  return graph.node("Add", {padded, graph.product_weight(prefix + ".bias")});
}

// Rows [B*H*W, C] in the type of products.
GraphValue window_attention(const Stage& stage, const GraphValue& normed, const std::string& prefix) {
  GraphBuilder& graph = stage.graph;
  const auto& [h, w] = stage.grid;
  const int64_t size = stage.tower.window_size, dim = stage.dim();
  const int64_t height = round_up(h, size), width = round_up(w, size);
  const int64_t down = height / size, across = width / size;
  // [B*windows, size*size, 3C]
  const GraphValue qkv = graph.reshape(padded_qkv(stage, normed, prefix, height, width),
                                       {-1, down, size, across, size, 3 * dim});
  const GraphValue windows =
      graph.reshape(graph.transpose(qkv, {0, 1, 3, 2, 4, 5}), {-1, size * size, 3 * dim});
  const GraphValue y =
      graph.reshape(attention(graph, windows, dim, stage.config.heads), {-1, down, across, size, size, dim});
  GraphValue tokens = graph.reshape(graph.transpose(y, {0, 1, 3, 2, 4, 5}), {-1, height, width, dim});
  if (height != h || width != w)
    tokens =
        graph.node("Slice", {tokens, graph.integers({0, 0}), graph.integers({h, w}), graph.integers({1, 2})});
  return stage.rows(tokens);
}

// softmax(q' k) v' over channels: groups of d channels, [d, d] scores. Rows in the type of products.
GraphValue channel_attention(const Stage& stage, const GraphValue& normed, const std::string& prefix) {
  GraphBuilder& graph = stage.graph;
  const int64_t tokens = stage.grid.tokens(), dim = stage.dim(), groups = stage.config.groups;
  const int64_t scaled_over = stage.tower.dynamic_scale ? tokens : dim;
  const GraphValue qkv =
      graph.reshape(linear(graph, normed, prefix + ".weight", prefix + ".bias"), {-1, tokens, 3 * dim});
  const std::vector<GraphValue> parts = graph.split(qkv, 3);
  const auto in_groups = [&](const GraphValue& part, const std::vector<int64_t>& permutation) {
    return graph.transpose(graph.reshape(part, {-1, tokens, groups, dim / groups}), permutation);
  };
  const GraphValue scale = graph.number(1 / std::sqrt(static_cast<float>(scaled_over)), graph.products());
  const GraphValue q = graph.node("Mul", {in_groups(parts[0], {0, 2, 3, 1}), scale});  // [B, groups, d, N]
  const GraphValue k = in_groups(parts[1], {0, 2, 1, 3});                              // [B, groups, N, d]
  const GraphValue v = in_groups(parts[2], {0, 2, 3, 1});                              // [B, groups, d, N]
  const GraphValue scores = graph.node("Softmax", {graph.node("MatMul", {q, k})}, {{"axis", int64_t{-1}}});
  const GraphValue y = graph.node("MatMul", {scores, v});
  return stage.rows(graph.transpose(y, {0, 3, 1, 2}));
}

using Attention = GraphValue (*)(const Stage&, const GraphValue& normed, const std::string& prefix);

GraphValue block(const Stage& stage, GraphValue x, const std::string& prefix, const std::string& name,
                 Attention attend) {
  GraphBuilder& graph = stage.graph;
  // x += conv1(x)
  if (stage.tower.conv_at_attn) {
    graph.enter(prefix + ".conv1");
    x = convolve(stage, x, prefix + ".conv1.fn.dw");
  }
  // x += proj(attention(qkv(norm(x))))
  const std::string attn = prefix + "." + name;
  graph.enter(attn);
  const GraphValue normed = graph.to_products(layer_norm(graph, x, attn + ".norm", kEpsilon));
  const GraphValue y = linear(graph, attend(stage, normed, attn + ".fn.qkv"), attn + ".fn.proj.weight",
                              attn + ".fn.proj.bias");
  x = graph.node("Add", {x, graph.to_float(y)});
  // x += conv2(x)
  if (stage.tower.conv_at_ffn) {
    graph.enter(prefix + ".conv2");
    x = convolve(stage, x, prefix + ".conv2.fn.dw");
  }
  // x += fc2(gelu(fc1(norm(x))))
  graph.enter(prefix + ".ffn");
  return add_feed_forward(graph, x,
                          {.norm = prefix + ".ffn.norm",
                           .fc1 = prefix + ".ffn.fn.net.fc1",
                           .fc2 = prefix + ".ffn.fn.net.fc2",
                           .epsilon = kEpsilon});
}

// [B, in, H, W] to rows.
GraphValue cut_patches(const Stage& stage, const GraphValue& planes, const std::string& prefix) {
  GraphBuilder& graph = stage.graph;
  const StageConfig& config = stage.config;
  const int64_t size = config.patch_size, stride = config.patch_stride, pad = config.patch_padding;
  const GraphValue y = graph.node("Conv",
                                  {graph.to_products(planes), graph.product_weight(prefix + ".weight"),
                                   graph.product_weight(prefix + ".bias")},
                                  {{"kernel_shape", std::vector<int64_t>{size, size}},
                                   {"strides", std::vector<int64_t>{stride, stride}},
                                   {"pads", std::vector<int64_t>{pad, pad, pad, pad}}});
  return from_planes(graph, graph.to_float(y), config.dim);
}

// f32 [B, 3, H, W], normalised.
GraphValue pixels(GraphBuilder& graph, const ImageTowerConfig& config, PixelInput input) {
  if (input == PixelInput::normalised)
    return graph.input("pixels", onnx::TensorProto::FLOAT,
                       {"batch", int64_t{3}, config.height, config.width});
  const GraphValue bytes =
      graph.input("pixels", onnx::TensorProto::UINT8, {"batch", config.height, config.width, int64_t{3}});
  graph.enter("preprocessing");
  const auto colours = [&](const std::array<float, 3>& values) {
    return graph.numbers({values.begin(), values.end()}, {3});
  };
  const GraphValue values = graph.node("Cast", {bytes}, {{"to", int64_t{onnx::TensorProto::FLOAT}}});
  const GraphValue unit = graph.node("Div", {values, graph.number(255)});
  const GraphValue centred = graph.node("Sub", {unit, colours(config.mean)});
  return graph.transpose(graph.node("Div", {centred, colours(config.std)}), {0, 3, 1, 2});
}

// Rows of the last stage.
GraphValue stages(GraphBuilder& graph, const ImageTowerConfig& config, GraphValue planes) {
  const std::vector<Grid> grids = stage_grids(config);
  GraphValue x;
  for (size_t s = 0; s < config.stages.size(); ++s) {
    const Stage stage{graph, config, config.stages[s], grids[s]};
    const std::string conv = "image_encoder.convs." + std::to_string(s);
    graph.enter(conv);
    // The model never applies a norm to pixels, even when the configuration asks for it.
    if (s > 0) {
      const int64_t dim = config.stages[s - 1].dim;
      if (stage.config.patch_prenorm) x = layer_norm(graph, x, conv + ".norm", kEpsilon);
      planes = to_planes(graph, x, grids[s - 1], dim);
    }
    x = cut_patches(stage, planes, conv + ".proj");
    if (!stage.config.patch_prenorm) x = layer_norm(graph, x, conv + ".norm", kEpsilon);
    for (int64_t b = 0; b < stage.config.depth; ++b) {
      const std::string pair = "image_encoder.blocks." + std::to_string(s) + "." + std::to_string(b);
      x = block(stage, x, pair + ".spatial_block", "window_attn", window_attention);
      x = block(stage, x, pair + ".channel_block", "channel_attn", channel_attention);
    }
  }
  return x;
}

}  // namespace

GraphBuilder image_graph(const ImageTowerConfig& config, int64_t embedding_dim, DType products,
                         PixelInput input) {
  GraphBuilder graph("image_encoder", products);
  const GraphValue x = stages(graph, config, pixels(graph, config, input));
  const int64_t tokens = stage_grids(config).back().tokens(), dim = config.stages.back().dim;
  graph.enter("image_vectors");
  const GraphValue pooled = graph.node("ReduceMean", {graph.reshape(x, {-1, tokens, dim})},
                                       {{"axes", std::vector<int64_t>{1}}, {"keepdims", int64_t{0}}});
  output_vectors(graph, pooled,
                 {.norm = "image_encoder.norms",
                  .projection = "image_projection",
                  .epsilon = kEpsilon,
                  .dim = embedding_dim});
  return graph;
}

}  // namespace mii
