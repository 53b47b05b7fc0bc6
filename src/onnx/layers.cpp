#include "onnx/layers.h"

#include <cmath>
#include <limits>

namespace mii {
namespace {

// x (1 + erf(x / sqrt(2))) / 2, in the form that runtimes know as one operator.
GraphValue gelu(GraphBuilder& graph, const GraphValue& x) {
  const auto number = [&](float value) { return graph.number(value, graph.products()); };
  const GraphValue erf = graph.node("Erf", {graph.node("Div", {x, number(std::sqrt(2.0f))})});
  const GraphValue product = graph.node("Mul", {x, graph.node("Add", {erf, number(1)})});
  return graph.node("Mul", {product, number(0.5f)});
}

// x sigmoid(1.702 x)
GraphValue quick_gelu(GraphBuilder& graph, const GraphValue& x) {
  const GraphValue scaled = graph.node("Mul", {x, graph.number(1.702f, graph.products())});
  return graph.node("Mul", {x, graph.node("Sigmoid", {scaled})});
}

// A number that any score exceeds.
float lowest(DType dtype) { return dtype == DType::f16 ? -65504 : std::numeric_limits<float>::lowest(); }

}  // namespace

GraphValue layer_norm(GraphBuilder& graph, const GraphValue& x, const std::string& prefix, float epsilon) {
  return graph.node("LayerNormalization",
                    {x, graph.weight(prefix + ".weight"), graph.weight(prefix + ".bias")},
                    {{"axis", int64_t{-1}}, {"epsilon", epsilon}});
}

GraphValue linear(GraphBuilder& graph, const GraphValue& x, const std::string& weight,
                  const std::string& bias) {
  std::vector<GraphValue> inputs{x, graph.product_weight(weight)};
  if (!bias.empty()) inputs.push_back(graph.product_weight(bias));
  return graph.node("Gemm", inputs, {{"transB", int64_t{1}}});
}

GraphValue add_feed_forward(GraphBuilder& graph, const GraphValue& x, const GraphFeedForward& names) {
  const GraphValue normed = graph.to_products(layer_norm(graph, x, names.norm, names.epsilon));
  const GraphValue wide = linear(graph, normed, names.fc1 + ".weight", names.fc1 + ".bias");
  const GraphValue active =
      names.activation == GraphActivation::gelu ? gelu(graph, wide) : quick_gelu(graph, wide);
  const GraphValue y = linear(graph, active, names.fc2 + ".weight", names.fc2 + ".bias");
  return graph.node("Add", {x, graph.to_float(y)});
}

GraphValue attention(GraphBuilder& graph, const GraphValue& qkv, int64_t channels, int64_t heads,
                     const GraphValue& mask) {
  const int64_t each = channels / heads;
  // [G, heads, T, d], and [G, heads, d, T] of the keys
  const std::vector<GraphValue> parts = graph.split(qkv, 3);
  const auto in_heads = [&](const GraphValue& part, const std::vector<int64_t>& permutation) {
    return graph.transpose(graph.reshape(part, {0, 0, heads, each}), permutation);
  };
  const GraphValue scale = graph.number(1 / std::sqrt(static_cast<float>(each)), graph.products());
  const GraphValue q = graph.node("Mul", {in_heads(parts[0], {0, 2, 1, 3}), scale});
  const GraphValue k = in_heads(parts[1], {0, 2, 3, 1});
  const GraphValue v = in_heads(parts[2], {0, 2, 1, 3});
  GraphValue scores = graph.node("MatMul", {q, k});  // [G, heads, T, T]
  if (!mask.empty())
    scores = graph.node("Where", {mask, scores, graph.number(lowest(graph.products()), graph.products())});
  const GraphValue y = graph.node("MatMul", {graph.node("Softmax", {scores}, {{"axis", int64_t{-1}}}), v});
  return graph.reshape(graph.transpose(y, {0, 2, 1, 3}), {0, 0, channels});
}

void output_vectors(GraphBuilder& graph, const GraphValue& x, const GraphVectors& names) {
  const GraphValue normed = graph.to_products(layer_norm(graph, x, names.norm, names.epsilon));
  const GraphValue vectors =
      graph.to_float(graph.node("Gemm", {normed, graph.product_weight(names.projection)}));
  const GraphValue length =
      graph.node("ReduceL2", {vectors}, {{"axes", std::vector<int64_t>{-1}}, {"keepdims", int64_t{1}}});
  graph.output(graph.node("Div", {vectors, length}), "vectors", {"batch", names.dim});
}

}  // namespace mii
