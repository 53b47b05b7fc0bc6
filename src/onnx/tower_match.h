#pragma once

#include <map>
#include <string>
#include <vector>

#include "onnx/graph_walk.h"
#include "onnx/tower_layout.h"

namespace mii {

/// Where a tensor of the model is in a graph.
struct FoundTensor {
  const onnx::TensorProto* tensor =
      nullptr;              ///< borrowed from the graph; null for a bias that the graph lacks
  bool transposed = false;  ///< it is stored the other way round than it is published
};

struct TowerMatch {
  std::string file_name, tower;  ///< for messages
  /// Tokens of a text: constants [.., side, side] that are added, and [.., side] that are chosen by a
  /// condition, are masks and skipped; 0: none.
  int64_t mask_side = 0;
};

/// Finds a tower's tensors in the steps of a graph, by the published names. Throws Error{corrupt_weights} for
/// the first step that is not the one of the layout: which tensor, where in the graph, expected and found.
std::map<std::string, FoundTensor> match_tower(const std::vector<LayoutStep>& layout,
                                               const std::vector<GraphStep>& steps, const TowerMatch& match);

}  // namespace mii
