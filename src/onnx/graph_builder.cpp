#include "onnx/graph_builder.h"

#include <algorithm>

#include "mii/error.h"

namespace mii {
namespace {

void set(const GraphAttribute& from, onnx::AttributeProto& to) {
  to.set_name(from.name);
  if (const auto* integer = std::get_if<int64_t>(&from.value)) {
    to.set_type(onnx::AttributeProto::INT);
    to.set_i(*integer);
  } else if (const auto* number = std::get_if<float>(&from.value)) {
    to.set_type(onnx::AttributeProto::FLOAT);
    to.set_f(*number);
  } else {
    to.set_type(onnx::AttributeProto::INTS);
    for (const int64_t value : std::get<std::vector<int64_t>>(from.value)) to.add_ints(value);
  }
}

void describe(onnx::ValueInfoProto& info, const std::string& name, onnx::TensorProto_DataType type,
              const std::vector<GraphBuilder::Dimension>& shape) {
  info.set_name(name);
  auto& tensor = *info.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(type);
  for (const auto& side : shape) {
    auto& dim = *tensor.mutable_shape()->add_dim();
    if (const auto* size = std::get_if<int64_t>(&side))
      dim.set_dim_value(*size);
    else
      dim.set_dim_param(std::get<const char*>(side));
  }
}

onnx::TensorProto tensor_of(onnx::TensorProto_DataType type, const Shape& shape) {
  onnx::TensorProto tensor;
  tensor.set_data_type(type);
  for (const int64_t side : shape) tensor.add_dims(side);
  return tensor;
}

}  // namespace

onnx::TensorProto_DataType onnx_type(DType dtype) {
  if (dtype == DType::f32) return onnx::TensorProto::FLOAT;
  if (dtype == DType::f16) return onnx::TensorProto::FLOAT16;
  throw Error(ErrorCode::invalid_argument,
              std::string("an ONNX graph is written in F32 or F16, not in ") + to_string(dtype));
}

GraphBuilder::GraphBuilder(const std::string& name, DType products) : products_(products) {
  graph_.set_name(name);
}

GraphValue GraphBuilder::input(const std::string& name, onnx::TensorProto_DataType type,
                               const std::vector<Dimension>& shape) {
  describe(*graph_.add_input(), name, type, shape);
  return name;
}

void GraphBuilder::output(const GraphValue& value, const std::string& name,
                          const std::vector<Dimension>& shape) {
  onnx::NodeProto& last = *graph_.mutable_node(graph_.node_size() - 1);
  if (last.output(0) != value) throw Error(ErrorCode::internal, "the output is computed last");
  last.set_output(0, name);
  describe(*graph_.add_output(), name, onnx::TensorProto::FLOAT, shape);
}

onnx::NodeProto& GraphBuilder::add(const char* op, const std::vector<GraphValue>& inputs,
                                   GraphAttributes attributes) {
  const std::string base = module_ + "/" + op;
  const int earlier = counts_[base]++;
  onnx::NodeProto& node = *graph_.add_node();
  node.set_op_type(op);
  node.set_name(earlier == 0 ? base : base + "_" + std::to_string(earlier));
  for (const GraphValue& input : inputs) node.add_input(input);
  for (const GraphAttribute& attribute : attributes) set(attribute, *node.add_attribute());
  return node;
}

GraphValue GraphBuilder::node(const char* op, const std::vector<GraphValue>& inputs,
                              GraphAttributes attributes) {
  onnx::NodeProto& node = add(op, inputs, attributes);
  node.add_output(node.name());
  return node.name();
}

std::vector<GraphValue> GraphBuilder::split(const GraphValue& x, int parts) {
  onnx::NodeProto& node = add("Split", {x}, {{"axis", int64_t{-1}}});
  for (int i = 0; i < parts; ++i) node.add_output(node.name() + ":" + std::to_string(i));
  return {node.output().begin(), node.output().end()};
}

GraphValue GraphBuilder::reshape(const GraphValue& x, const std::vector<int64_t>& shape) {
  return node("Reshape", {x, integers(shape)});
}

GraphValue GraphBuilder::transpose(const GraphValue& x, const std::vector<int64_t>& permutation) {
  return node("Transpose", {x}, {{"perm", permutation}});
}

GraphValue GraphBuilder::weight(const std::string& name, DType dtype) {
  weights_.push_back({name, dtype});
  return name;
}

GraphValue GraphBuilder::constant(const std::string& name, onnx::TensorProto tensor) {
  const auto [found, added] = constants_.try_emplace(tensor.SerializeAsString(), name);
  if (!added) return found->second;
  const int earlier = counts_[name]++;
  found->second = earlier == 0 ? name : name + "_" + std::to_string(earlier);
  tensor.set_name(found->second);
  *graph_.add_initializer() = std::move(tensor);
  return found->second;
}

GraphValue GraphBuilder::integers(const std::vector<int64_t>& values) {
  onnx::TensorProto tensor = tensor_of(onnx::TensorProto::INT64, {static_cast<int64_t>(values.size())});
  std::string name = "integers";
  for (const int64_t value : values) {
    tensor.add_int64_data(value);
    name.append("_").append(std::to_string(value));
  }
  return constant(name, std::move(tensor));
}

GraphValue GraphBuilder::number(float value, DType dtype) {
  onnx::TensorProto tensor = tensor_of(onnx_type(dtype), {});
  if (dtype == DType::f16)
    tensor.add_int32_data(to_float16(value).bits);
  else
    tensor.add_float_data(value);
  return constant("number", std::move(tensor));
}

GraphValue GraphBuilder::numbers(const std::vector<float>& values, const Shape& shape) {
  onnx::TensorProto tensor = tensor_of(onnx::TensorProto::FLOAT, shape);
  for (const float value : values) tensor.add_float_data(value);
  return constant("numbers", std::move(tensor));
}

GraphValue GraphBuilder::to_products(const GraphValue& x) {
  if (products_ == DType::f32) return x;
  return node("Cast", {x}, {{"to", int64_t{onnx_type(products_)}}});
}

GraphValue GraphBuilder::to_float(const GraphValue& x) {
  if (products_ == DType::f32) return x;
  return node("Cast", {x}, {{"to", int64_t{onnx::TensorProto::FLOAT}}});
}

}  // namespace mii
