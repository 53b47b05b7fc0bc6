#include "onnx/text_graph.h"

#include <string>

#include "onnx/layers.h"

namespace mii {
namespace {

constexpr float kEpsilon = 1e-12f;

struct Inputs {
  GraphValue ids, mask;  // i64 [B, T]
  GraphValue tokens;     // T, i64 [1]
};

// [B, T, W]
GraphValue embed_tokens(GraphBuilder& graph, const Inputs& in) {
  const GraphValue tokens =
      graph.node("Gather", {graph.product_weight("lang_encoder.token_embedding.weight"), in.ids});
  const GraphValue places = graph.node("Slice", {graph.product_weight("lang_encoder.positional_embedding"),
                                                 graph.integers({0}), in.tokens, graph.integers({0})});
  return graph.node("Add", {graph.to_float(tokens), graph.to_float(places)});
}

// Flags of the keys that each token may see: [B, 1, 1, T], or [B, 1, T, T] when no token sees a later one.
GraphValue visible(GraphBuilder& graph, const TextTowerConfig& config, const Inputs& in) {
  const GraphValue real = graph.node("Cast", {in.mask}, {{"to", int64_t{onnx::TensorProto::BOOL}}});
  GraphValue keys = graph.node("Unsqueeze", {real, graph.integers({1, 2})});
  if (!config.causal) return keys;
  const auto scalar = [&](int64_t value) { return graph.node("Squeeze", {graph.integers({value})}); };
  const GraphValue places = graph.node("Range", {scalar(0), graph.node("Squeeze", {in.tokens}), scalar(1)});
  const GraphValue queries = graph.node("Unsqueeze", {places, graph.integers({1})});
  return graph.node("And", {keys, graph.node("LessOrEqual", {places, queries})});
}

// The rows at which the texts' vectors are read: at the first largest id.
GraphValue pool(GraphBuilder& graph, const GraphValue& x, const Inputs& in) {
  const GraphValue real = graph.node("Mul", {in.ids, in.mask});
  const GraphValue narrow = graph.node("Cast", {real}, {{"to", int64_t{onnx::TensorProto::INT32}}});
  const GraphValue ends = graph.node("ArgMax", {narrow}, {{"axis", int64_t{1}}, {"keepdims", int64_t{1}}});
  return graph.node("GatherND", {x, ends}, {{"batch_dims", int64_t{1}}});
}

// x: rows [B*T, W]. sizes: B and T, i64 [2].
GraphValue block(GraphBuilder& graph, const TextTowerConfig& config, const std::string& prefix,
                 const GraphValue& x, const GraphValue& sizes, const GraphValue& mask) {
  // x += out_proj(attention(in_proj(ln_1(x))))
  graph.enter(prefix + ".attn");
  const GraphValue normed = graph.to_products(layer_norm(graph, x, prefix + ".ln_1", kEpsilon));
  const GraphValue qkv =
      linear(graph, normed, prefix + ".attn.in_proj_weight", prefix + ".attn.in_proj_bias");
  const GraphValue shape =
      graph.node("Concat", {sizes, graph.integers({3 * config.width})}, {{"axis", int64_t{0}}});
  const GraphValue attended =
      attention(graph, graph.node("Reshape", {qkv, shape}), config.width, config.heads, mask);
  const GraphValue y = linear(graph, graph.reshape(attended, {-1, config.width}),
                              prefix + ".attn.out_proj.weight", prefix + ".attn.out_proj.bias");
  const GraphValue sum = graph.node("Add", {x, graph.to_float(y)});
  // x += c_proj(quick_gelu(c_fc(ln_2(x))))
  graph.enter(prefix + ".mlp");
  return add_feed_forward(graph, sum,
                          {.norm = prefix + ".ln_2",
                           .fc1 = prefix + ".mlp.c_fc",
                           .fc2 = prefix + ".mlp.c_proj",
                           .epsilon = kEpsilon,
                           .activation = GraphActivation::quick_gelu});
}

}  // namespace

GraphBuilder text_graph(const TextTowerConfig& config, int64_t embedding_dim, DType products) {
  GraphBuilder graph("lang_encoder", products);
  Inputs in;
  in.ids = graph.input("input_ids", onnx::TensorProto::INT64, {"batch", "tokens"});
  in.mask = graph.input("attention_mask", onnx::TensorProto::INT64, {"batch", "tokens"});
  graph.enter("lang_encoder");
  const GraphValue sizes = graph.node("Shape", {in.ids});
  in.tokens = graph.node("Slice", {sizes, graph.integers({1}), graph.integers({2})});
  const GraphValue mask = visible(graph, config, in);
  GraphValue x = graph.reshape(embed_tokens(graph, in), {-1, config.width});
  for (int64_t layer = 0; layer < config.layers; ++layer)
    x = block(graph, config, "lang_encoder.resblocks." + std::to_string(layer), x, sizes, mask);
  graph.enter("text_vectors");
  const GraphValue shape =
      graph.node("Concat", {sizes, graph.integers({config.width})}, {{"axis", int64_t{0}}});
  const GraphValue pooled = pool(graph, graph.node("Reshape", {x, shape}), in);
  output_vectors(graph, pooled,
                 {.norm = "lang_encoder.ln_final",
                  .projection = "lang_projection",
                  .epsilon = kEpsilon,
                  .dim = embedding_dim});
  return graph;
}

}  // namespace mii
