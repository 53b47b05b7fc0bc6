#pragma once

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace mii {

/// What an operator does with a tensor of the graph, or what it computes without one.
enum class StepKind : uint8_t {
  kernel,   ///< the weight of a convolution
  matrix,   ///< rows are multiplied with it
  scale,    ///< factors on channels
  addend,   ///< added: a bias, places, a mask
  table,    ///< its rows are chosen by ids
  softmax,  ///< and these three without a tensor
  gelu,
  sigmoid,
  other,  ///< a tensor of numbers that is used in another way
};

/// The kind in words: "the weight of a convolution".
const char* to_string(StepKind kind);

/// A constant of a graph as an operator takes it: a stored tensor, perhaps through Identity, Cast, Transpose,
/// Reshape, Squeeze, Unsqueeze and Flatten.
struct GraphConstant {
  const onnx::TensorProto* tensor = nullptr;  ///< borrowed from the graph; null when it is computed otherwise
  Shape shape;                                ///< as stored
  std::string source;                         ///< the tensor's name, or the operator that computes it
  bool transposed = false;                    ///< of two dimensions
  bool reshaped = false;                      ///< the elements are in their order, the shape may be another
};

/// An operator of a tower that takes a tensor, or that tells which layer this is.
struct GraphStep {
  StepKind kind = StepKind::other;
  GraphConstant constant;
  const onnx::NodeProto* node = nullptr;  ///< borrowed from the graph
  int position = 0;                       ///< of the operator in the file
  bool output_first = false;              ///< of a matrix as the operator takes it: [out, in], else [in, out]

  /// "operator 12 of the graph, Gemm 'fc1'"
  std::string where() const;
};

/// What a graph computes, in the order of its operators.
struct GraphWalk {
  std::vector<GraphStep> image;  ///< of what depends on pixels, and not on tokens
  std::vector<GraphStep> text;   ///< of what depends on tokens, and not on pixels
  bool takes_pixels = false, takes_tokens = false;
  /// The factor on the cosine as the graph has it: a scalar that both towers' product is multiplied with, or
  /// an output.
  std::optional<double> logit_scale;
};

/// Goes through the operators of a graph. Throws Error{invalid_model} that names every kind of operator that
/// this architecture does not consist of; Error{corrupt_weights} for a graph whose operators take what no
/// earlier one gives, that gives a value twice, or that mixes the towers' weights. file_name: for messages.
GraphWalk walk_graph(const onnx::GraphProto& graph, const std::string& file_name);

/// An attribute of an operator, or what is true when it is not there.
int64_t integer_attribute(const onnx::NodeProto& node, const char* name, int64_t otherwise);
std::vector<int64_t> integers_attribute(const onnx::NodeProto& node, const char* name,
                                        const std::vector<int64_t>& otherwise);

}  // namespace mii
