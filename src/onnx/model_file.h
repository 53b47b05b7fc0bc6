#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "onnx/graph_builder.h"
#include "weights/checkpoint.h"

namespace mii {

struct GraphFileOptions {
  /// Weights go into FILE.data beside the file. They do so anyway where they are more than a file of protobuf
  /// can hold, 2 GiB.
  bool external_data = false;
  std::map<std::string, std::string> metadata;
  std::function<void()> wrote_tensor;  ///< called after each weight
};

/// Writes a graph with its weights as an ONNX file. Returns the bytes of all that was written. Throws
/// Error{corrupt_weights} for weights that are not finite, in F16 also beyond 65504; Error{io}.
uint64_t write_graph(GraphBuilder graph, const Checkpoint& checkpoint, const std::filesystem::path& file,
                     const GraphFileOptions& options);

}  // namespace mii
