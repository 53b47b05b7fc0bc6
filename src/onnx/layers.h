#pragma once

#include "onnx/graph_builder.h"

// What both towers are made of. Rows are [rows, C] in f32 unless it says otherwise.

namespace mii {

/// Norm of rows; `prefix`.weight and `prefix`.bias.
GraphValue layer_norm(GraphBuilder& graph, const GraphValue& x, const std::string& prefix, float epsilon);

/// x: rows in the type of products, as the result. weight: [out, in]; bias: [out], or empty.
GraphValue linear(GraphBuilder& graph, const GraphValue& x, const std::string& weight,
                  const std::string& bias);

/// fc2(activation(fc1(norm(x)))) + x.
enum class GraphActivation { gelu, quick_gelu };
struct GraphFeedForward {
  std::string norm, fc1, fc2;  ///< their prefixes
  float epsilon = 0;
  GraphActivation activation = GraphActivation::gelu;
};
GraphValue add_feed_forward(GraphBuilder& graph, const GraphValue& x, const GraphFeedForward& names);

/// softmax(q k' / sqrt(d)) v in heads of d channels. qkv: [G, T, 3C], the result: [G, T, C], in the type of
/// products. mask: flags [.., T, T] of the keys that each token may see, or empty for all.
GraphValue attention(GraphBuilder& graph, const GraphValue& qkv, int64_t channels, int64_t heads,
                     const GraphValue& mask = {});

/// The vectors of pooled rows: norm(x) times the projection [in, out], each of length 1; named "vectors".
struct GraphVectors {
  std::string norm, projection;
  float epsilon = 0;
  int64_t dim = 0;
};
void output_vectors(GraphBuilder& graph, const GraphValue& x, const GraphVectors& names);

}  // namespace mii
