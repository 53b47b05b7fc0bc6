#pragma once

#include "onnx/graph_builder.h"
#include "weights/config.h"

namespace mii {

/// What the image tower's graph takes.
enum class PixelInput {
  normalised,  ///< "pixels", f32 [batch, 3, height, width]: (byte / 255 - mean) / std
  bytes,       ///< "pixels", u8 [batch, height, width, 3]: RGB as it was resized
};

/// The image tower as a graph from "pixels" to "vectors", f32 [batch, D] of length 1. Tokens that pad a
/// window take part in its attention, and no product is computed for them.
GraphBuilder image_graph(const ImageTowerConfig& config, int64_t embedding_dim, DType products,
                         PixelInput input);

}  // namespace mii
