#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace mii {

/// The operators' version: the oldest with LayerNormalization.
constexpr int64_t kOpset = 17;

struct OnnxExport {
  bool image = true, text = true;  ///< which towers
  DType dtype = DType::f32;        ///< f32, or f16 for the operands of products
  /// The image graph takes the bytes of resized images and normalises them itself.
  bool preprocessing = false;
  bool external_data = false;                   ///< weights in files beside the graphs
  std::map<std::string, std::string> metadata;  ///< of every graph
  /// Called with the weights that are written, and how many there are.
  std::function<void(size_t done, size_t all)> progress;
};

struct ExportedGraph {
  std::filesystem::path file;
  uint64_t bytes = 0;  ///< with its external data
};

/// Writes image.onnx and text.onnx of a model folder into out_folder, which is made when it is missing.
/// vocabulary_size: rows of the token embedding. Throws Error{invalid_argument} when there is nothing to
/// write, else as Checkpoint::open and write_graph do.
std::vector<ExportedGraph> export_onnx(const std::filesystem::path& folder, int64_t vocabulary_size,
                                       const std::filesystem::path& out_folder, const OnnxExport& options);

}  // namespace mii
