#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "onnx/tensor_values.h"
#include "onnx/tower_match.h"
#include "weights/checkpoint.h"
#include "weights/config.h"

namespace mii {

/// An ONNX model and where it was read; external data are in that file's folder.
struct GraphFile {
  std::filesystem::path path;
  onnx::ModelProto model;
};

struct OnnxSource {
  ModelConfig config;
  int64_t vocabulary_size = 0;  ///< rows of the token embedding
  /// The factor on the cosine; without, the one of the graphs: their metadata's mii.logit_scale, or a scalar.
  std::optional<double> logit_scale;
};

/// The weights of a model in ONNX graphs of any maker: both towers in one, or each in a graph of its own.
/// Tensors are found by what operators do with them, in which order and of which shape; names play no role.
/// Heads, groups, windows and epsilons are no tensors, and not looked at. Move-only.
class OnnxWeights {
 public:
  /// Throws Error{corrupt_weights} that names the first tensor that is not found, where in the graph, with
  /// what was expected and found; and for a tower that is missing or there twice. Else as read_graph_file and
  /// walk_graph do.
  static OnnxWeights open(const std::vector<std::filesystem::path>& files, const OnnxSource& source);

  /// The same of models that were read. No numbers are read, so that external data need not be there.
  explicit OnnxWeights(std::vector<GraphFile> files, const OnnxSource& source);

  /// Copies a tensor's values as dtype, f32 or bf16, as it is published. Throws Error{corrupt_weights} for
  /// values that are not finite, Error{internal} for a name that is not in tensor_specs(), else as
  /// TensorValues does.
  void copy_as(DType dtype, const std::string& name, std::byte* to);

  /// Where a tensor of tensor_specs() is; without one for a bias that the graphs lack, and for the
  /// temperature.
  const FoundTensor& found(const std::string& name) const { return places_.at(name).found; }

  /// What a user should know: whence the factor on the cosine is, and which biases the graphs lack.
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  struct Place {
    FoundTensor found;
    size_t file = 0;
    float fill = 0;  // all elements, when there is no tensor
  };

  void place_towers(const OnnxSource& source);
  void choose_logit_scale(const OnnxSource& source, std::optional<double> of_graphs);

  std::unique_ptr<std::vector<GraphFile>> files_;  // do not move: places_ borrow from them
  std::vector<TensorValues> values_;               // of each file
  std::map<std::string, Place> places_;
  std::map<std::string, Shape> shapes_;
  std::vector<std::string> notes_;
};

}  // namespace mii
