#pragma once

#include "onnx/graph_builder.h"
#include "weights/config.h"

namespace mii {

/// The text tower as a graph from "input_ids" and "attention_mask", both i64 [batch, tokens], tokens up to
/// the context's length, to "vectors", f32 [batch, D] of length 1. Tokens whose mask is 0 change nothing,
/// whatever their ids.
GraphBuilder text_graph(const TextTowerConfig& config, int64_t embedding_dim, DType products);

}  // namespace mii
