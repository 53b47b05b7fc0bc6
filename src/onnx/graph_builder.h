#pragma once

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/tensor.h"

namespace mii {

/// A value of a graph, by its name; empty for an optional input that is left out.
using GraphValue = std::string;

/// An attribute of an operator.
struct GraphAttribute {
  const char* name;
  std::variant<int64_t, float, std::vector<int64_t>> value;
};
using GraphAttributes = std::initializer_list<GraphAttribute>;

/// A tensor of the model that a graph refers to, by its published name.
struct GraphWeight {
  std::string name;
  DType dtype = DType::f32;
};

/// An ONNX graph in the making: operators in the order in which they are computed, small constants, and names
/// of weights, whose numbers are added when the graph is written.
class GraphBuilder {
 public:
  /// products: f32, or f16 for the operands of all matrix products and of patch convolutions; everything else
  /// is computed in f32.
  GraphBuilder(const std::string& name, DType products);

  /// What the names of the operators that follow begin with: the module that they compute.
  void enter(std::string module) { module_ = std::move(module); }

  /// A dimension without a number is named, and may be of any size.
  using Dimension = std::variant<int64_t, const char*>;
  GraphValue input(const std::string& name, onnx::TensorProto_DataType type,
                   const std::vector<Dimension>& shape);
  /// Gives a value the name of an output of f32.
  void output(const GraphValue& value, const std::string& name, const std::vector<Dimension>& shape);

  GraphValue node(const char* op, const std::vector<GraphValue>& inputs, GraphAttributes attributes = {});
  /// As many equal parts along the last dimension.
  std::vector<GraphValue> split(const GraphValue& x, int parts);
  GraphValue reshape(const GraphValue& x, const std::vector<int64_t>& shape);
  GraphValue transpose(const GraphValue& x, const std::vector<int64_t>& permutation);

  /// Weights in f32, and those that are operands of products.
  GraphValue weight(const std::string& name) { return weight(name, DType::f32); }
  GraphValue product_weight(const std::string& name) { return weight(name, products_); }

  GraphValue integers(const std::vector<int64_t>& values);
  GraphValue number(float value, DType dtype = DType::f32);
  GraphValue numbers(const std::vector<float>& values, const Shape& shape);

  DType products() const { return products_; }
  /// From f32 to the type of products, and back.
  GraphValue to_products(const GraphValue& x);
  GraphValue to_float(const GraphValue& x);

  const std::vector<GraphWeight>& weights() const { return weights_; }
  /// The graph without its weights.
  onnx::GraphProto take() { return std::move(graph_); }

 private:
  onnx::NodeProto& add(const char* op, const std::vector<GraphValue>& inputs, GraphAttributes attributes);
  GraphValue weight(const std::string& name, DType dtype);
  GraphValue constant(const std::string& name, onnx::TensorProto tensor);

  onnx::GraphProto graph_;
  const DType products_;
  std::string module_;
  std::map<std::string, int> counts_;            // of names that were given
  std::map<std::string, GraphValue> constants_;  // by what they hold
  std::vector<GraphWeight> weights_;
};

onnx::TensorProto_DataType onnx_type(DType dtype);

}  // namespace mii
