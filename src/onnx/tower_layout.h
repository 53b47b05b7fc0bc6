#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "onnx/graph_walk.h"
#include "weights/checkpoint.h"
#include "weights/config.h"

namespace mii {

/// How a convolution moves over its input, the same in both directions.
struct ConvolutionForm {
  int64_t stride = 1, padding = 0, groups = 1;
};

/// A step that a graph of a tower must have.
struct LayoutStep {
  StepKind kind = StepKind::other;
  TensorSpec tensor;           ///< without a name: softmax, gelu, sigmoid
  ConvolutionForm form;        ///< of a kernel
  bool output_first = true;    ///< of a matrix as it is published: [out, in], else [in, out]
  bool may_be_absent = false;  ///< a bias, which is then zero
};

/// The steps of the towers in the order of computation. Norms that a configuration asks for and the model
/// never applies are not among them.
std::vector<LayoutStep> image_layout(const ModelConfig& config);
std::vector<LayoutStep> text_layout(const ModelConfig& config, int64_t vocabulary_size);

}  // namespace mii
