#include "onnx/graph_walk.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string_view>
#include <unordered_map>

#include "core/aligned_buffer.h"
#include "mii/error.h"
#include "onnx/tensor_values.h"
#include "weights/checkpoint.h"

namespace mii {
namespace {

// What exports of the towers consist of. Others compute something else, or take weights in a form of their
// own.
const std::set<std::string_view>& known_operators() {
  static const std::set<std::string_view> names{"Abs",
                                                "Add",
                                                "And",
                                                "ArgMax",
                                                "AveragePool",
                                                "Cast",
                                                "CastLike",
                                                "Ceil",
                                                "Clip",
                                                "Concat",
                                                "Constant",
                                                "ConstantOfShape",
                                                "Conv",
                                                "Div",
                                                "Dropout",
                                                "Equal",
                                                "Erf",
                                                "Exp",
                                                "Expand",
                                                "Flatten",
                                                "Floor",
                                                "Gather",
                                                "GatherElements",
                                                "GatherND",
                                                "Gelu",
                                                "Gemm",
                                                "GlobalAveragePool",
                                                "Greater",
                                                "GreaterOrEqual",
                                                "Identity",
                                                "IsNaN",
                                                "LayerNormalization",
                                                "Less",
                                                "LessOrEqual",
                                                "LpNormalization",
                                                "MatMul",
                                                "Max",
                                                "Min",
                                                "Mod",
                                                "Mul",
                                                "Neg",
                                                "Not",
                                                "Or",
                                                "Pad",
                                                "Pow",
                                                "Range",
                                                "Reciprocal",
                                                "ReduceL2",
                                                "ReduceMean",
                                                "ReduceSum",
                                                "ReduceSumSquare",
                                                "Reshape",
                                                "Shape",
                                                "Sigmoid",
                                                "Size",
                                                "Slice",
                                                "Softmax",
                                                "Split",
                                                "Sqrt",
                                                "Squeeze",
                                                "Sub",
                                                "Tile",
                                                "Transpose",
                                                "Trilu",
                                                "Unsqueeze",
                                                "Where",
                                                "Xor"};
  return names;
}

enum Tower : unsigned { kImage = 1, kText = 2 };

// A value of the graph.
struct Value {
  unsigned towers = 0;  // on whose inputs it depends; none: a constant
  GraphConstant constant;
  bool numbers = false;  // of a constant: floats, more than one
};

bool is_float(int type) {
  return type == onnx::TensorProto::FLOAT || type == onnx::TensorProto::FLOAT16 ||
         type == onnx::TensorProto::BFLOAT16 || type == onnx::TensorProto::DOUBLE;
}

class Walker {
 public:
  Walker(const onnx::GraphProto& graph, const std::string& file_name)
      : graph_(graph), file_name_(file_name) {}

  GraphWalk walk() {
    refuse_unknown_operators();
    for (const onnx::TensorProto& tensor : graph_.initializer())
      define(tensor.name(), stored(tensor, tensor.name()));
    for (const onnx::ValueInfoProto& input : graph_.input()) take(input);
    for (int i = 0; i < graph_.node_size(); ++i) visit(graph_.node(i), i);
    for (const onnx::ValueInfoProto& output : graph_.output())
      if (const auto found = values_.find(output.name()); found != values_.end()) note_factor(found->second);
    return std::move(walk_);
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    throw Error(ErrorCode::corrupt_weights, file_name_ + ": " + what);
  }

  void refuse_unknown_operators() const {
    std::set<std::string> unknown;
    for (const onnx::NodeProto& node : graph_.node()) {
      const bool standard = node.domain().empty() || node.domain() == "ai.onnx";
      if (standard && known_operators().contains(node.op_type())) continue;
      unknown.insert(node.op_type().substr(0, 100) +
                     (standard ? "" : " (" + node.domain().substr(0, 100) + ")"));
    }
    if (unknown.empty()) return;
    constexpr size_t kShown = 10;
    std::string list;
    size_t shown = 0;
    for (const std::string& name : unknown)
      if (shown++ < kShown) list += (list.empty() ? "" : ", ") + name;
    if (unknown.size() > kShown) list += " and " + std::to_string(unknown.size() - kShown) + " more";
    throw Error(ErrorCode::invalid_model,
                file_name_ + ": has operators that a graph of this model does not consist of: " + list);
  }

  Value stored(const onnx::TensorProto& tensor, const std::string& name) const {
    Value value;
    value.constant = {&tensor, shape_of(tensor, file_name_), name};
    value.numbers = is_float(tensor.data_type()) && element_count(value.constant.shape) > 1;
    return value;
  }

  void define(const std::string& name, Value value) {
    if (name.empty()) return;  // an output that nobody takes
    if (!values_.emplace(name, std::move(value)).second) refuse("gives the value '" + name + "' twice");
  }

  // Pixels have four dimensions, ids and their mask two.
  void take(const onnx::ValueInfoProto& input) {
    if (values_.contains(input.name())) return;  // an initialiser, which older files list here too
    const onnx::TypeProto_Tensor& type = input.type().tensor_type();
    const bool pixels = type.has_shape()
                            ? type.shape().dim_size() == 4
                            : is_float(type.elem_type()) || type.elem_type() == onnx::TensorProto::UINT8;
    (pixels ? walk_.takes_pixels : walk_.takes_tokens) = true;
    Value value;
    value.towers = pixels ? kImage : kText;
    define(input.name(), std::move(value));
  }

  const Value& value_of(const std::string& name, const onnx::NodeProto& node, int position) const {
    const auto found = values_.find(name);
    if (found == values_.end())
      refuse(described(node, position) + " takes '" + name + "', which nothing before it gives");
    return found->second;
  }

  static std::string described(const onnx::NodeProto& node, int position) {
    GraphStep step;
    step.node = &node;
    step.position = position;
    return step.where();
  }

  void visit(const onnx::NodeProto& node, int position) {
    static const Value absent;
    std::vector<const Value*> inputs;
    unsigned towers = 0;
    for (const std::string& name : node.input()) {
      inputs.push_back(name.empty() ? &absent : &value_of(name, node, position));
      towers |= inputs.back()->towers;
    }
    if (towers == 0) return fold(node, inputs, position);
    note_steps({node, inputs, towers, position});
    Value value;
    value.towers = towers;
    for (const std::string& output : node.output()) define(output, value);
  }

  // An operator on constants.
  void fold(const onnx::NodeProto& node, const std::vector<const Value*>& inputs, int position) {
    const std::string& op = node.op_type();
    Value value = op == "Constant" ? constant_node(node) : Value{};
    if (!inputs.empty()) value = followed(node, *inputs[0]);
    for (size_t i = 1; i < inputs.size(); ++i) value.numbers = value.numbers || inputs[i]->numbers;
    if (value.constant.tensor == nullptr) value.constant.source = described(node, position);
    if (op == "Exp" && !inputs.empty() && !inputs[0]->numbers)
      if (const auto logarithm = scalar(*inputs[0])) walk_.logit_scale = std::exp(*logarithm);
    for (const std::string& output : node.output()) define(output, value);
  }

  Value constant_node(const onnx::NodeProto& node) const {
    Value value;
    for (const onnx::AttributeProto& attribute : node.attribute()) {
      if (attribute.name() == "value")
        value = stored(attribute.t(), node.output_size() > 0 ? node.output(0) : "");
      if (attribute.name() == "value_floats") value.numbers = attribute.floats_size() > 1;
    }
    return value;
  }

  // A constant behind an operator that only moves it; its tensor is lost behind another.
  static Value followed(const onnx::NodeProto& node, Value value) {
    const std::string& op = node.op_type();
    GraphConstant& constant = value.constant;
    const size_t rank = constant.shape.size();
    if (op == "Identity" || op == "Cast" || op == "CastLike") return value;
    if (op == "Transpose" && rank <= 2 && !constant.reshaped) {
      const std::vector<int64_t> swapped{1, 0};
      if (rank == 2 && integers_attribute(node, "perm", swapped) == swapped)
        constant.transposed = !constant.transposed;
      return value;
    }
    if ((op == "Reshape" || op == "Unsqueeze" || op == "Squeeze" || op == "Flatten") &&
        !constant.transposed) {
      constant.reshaped = true;
      return value;
    }
    constant = {};
    return value;
  }

  struct Visit {
    const onnx::NodeProto& node;
    const std::vector<const Value*>& inputs;
    unsigned towers;
    int position;

    bool has_numbers(size_t input) const { return input < inputs.size() && inputs[input]->numbers; }
    bool is_constant(size_t input) const {
      return input < inputs.size() && inputs[input]->towers == 0 &&
             (inputs[input]->constant.tensor != nullptr || inputs[input]->numbers);
    }
  };

  void add(const Visit& visit, StepKind kind, const GraphConstant& constant = {}, bool output_first = false) {
    const GraphStep step{kind, constant, &visit.node, visit.position, output_first};
    if (visit.towers == (kImage | kText)) {
      if (kind != StepKind::softmax)  // of probabilities
        refuse(step.where() +
               " has weights and depends on pixels and on tokens: no operator of this model does");
      return;
    }
    (visit.towers == kImage ? walk_.image : walk_.text).push_back(step);
  }

  void add_input(const Visit& visit, size_t input, StepKind kind, bool output_first = false) {
    if (visit.is_constant(input)) add(visit, kind, visit.inputs[input]->constant, output_first);
  }

  void note_steps(const Visit& visit) {
    const std::string& op = visit.node.op_type();
    if (op == "Conv") {
      add_input(visit, 1, StepKind::kernel);
      add_input(visit, 2, StepKind::addend);
    } else if (op == "MatMul") {
      if (visit.has_numbers(0)) add(visit, StepKind::other, visit.inputs[0]->constant);
      add_input(visit, 1, StepKind::matrix);
    } else if (op == "Gemm") {
      note_gemm(visit);
    } else if (op == "LayerNormalization") {
      add_input(visit, 1, StepKind::scale);
      add_input(visit, 2, StepKind::addend);
    } else if (op == "Gather" && visit.has_numbers(0)) {
      add_input(visit, 0, StepKind::table);
    } else if (op == "Slice" && visit.has_numbers(0)) {
      add_input(visit, 0, StepKind::addend);  // places, as many as there are tokens
    } else if (op == "Mul" || op == "Add") {
      note_elementwise(visit, op == "Mul");
    } else if (op == "Softmax") {
      add(visit, StepKind::softmax);
    } else if (op == "Erf" || op == "Gelu") {
      for (const onnx::AttributeProto& attribute : visit.node.attribute())
        if (attribute.name() == "approximate" && attribute.s() != "none")
          refuse(described(visit.node, visit.position) + " approximates GELU, expected the exact one");
      add(visit, StepKind::gelu);
    } else if (op == "Sigmoid") {
      add(visit, StepKind::sigmoid);
    } else {
      for (size_t i = 0; i < visit.inputs.size(); ++i)
        if (visit.has_numbers(i)) add(visit, StepKind::other, visit.inputs[i]->constant);
    }
  }

  void note_gemm(const Visit& visit) {
    const onnx::NodeProto& node = visit.node;
    for (const onnx::AttributeProto& attribute : node.attribute())
      if ((attribute.name() == "alpha" || attribute.name() == "beta") && attribute.f() != 1)
        refuse(described(node, visit.position) + " has a factor " + attribute.name() + ", expected none");
    if (integer_attribute(node, "transA", 0) != 0 || visit.is_constant(0))
      refuse(described(node, visit.position) + " has its weights on the left, expected them on the right");
    add_input(visit, 1, StepKind::matrix, integer_attribute(node, "transB", 0) != 0);
    add_input(visit, 2, StepKind::addend);
  }

  void note_elementwise(const Visit& visit, bool product) {
    for (size_t i = 0; i < 2; ++i) {
      if (visit.has_numbers(i))
        add_input(visit, i, product ? StepKind::scale : StepKind::addend);
      else if (product && visit.is_constant(i) && visit.towers == (kImage | kText))
        note_factor(*visit.inputs[i]);
    }
  }

  void note_factor(const Value& value) {
    if (walk_.logit_scale || value.towers != 0 || value.numbers) return;
    if (const auto factor = scalar(value); factor && *factor > 0) walk_.logit_scale = factor;
  }

  // The number that a stored float of one element is.
  std::optional<double> scalar(const Value& value) const {
    const onnx::TensorProto* tensor = value.constant.tensor;
    if (tensor == nullptr || !weight_type(*tensor) || element_count(value.constant.shape) != 1 ||
        tensor->data_location() == onnx::TensorProto::EXTERNAL)
      return {};
    AlignedBuffer<std::byte> storage;
    float number = 0;
    copy_as_float(TensorValues(file_name_).read(*tensor, storage), value.constant.source, &number);
    return number;
  }

  const onnx::GraphProto& graph_;
  const std::string& file_name_;
  std::unordered_map<std::string, Value> values_;
  GraphWalk walk_;
};

}  // namespace

const char* to_string(StepKind kind) {
  switch (kind) {
    case StepKind::kernel:
      return "the weight of a convolution";
    case StepKind::matrix:
      return "the weight of a matrix product";
    case StepKind::scale:
      return "factors on channels";
    case StepKind::addend:
      return "a tensor that is added";
    case StepKind::table:
      return "a table of rows";
    case StepKind::softmax:
      return "a softmax";
    case StepKind::gelu:
      return "a GELU";
    case StepKind::sigmoid:
      return "a sigmoid";
    default:
      return "a tensor that no layer of this model takes";
  }
}

std::string GraphStep::where() const {
  return "operator " + std::to_string(position) + " of the graph, " + node->op_type() +
         (node->name().empty() ? "" : " '" + node->name().substr(0, 200) + "'");
}

GraphWalk walk_graph(const onnx::GraphProto& graph, const std::string& file_name) {
  return Walker(graph, file_name).walk();
}

int64_t integer_attribute(const onnx::NodeProto& node, const char* name, int64_t otherwise) {
  for (const onnx::AttributeProto& attribute : node.attribute())
    if (attribute.name() == name) return attribute.i();
  return otherwise;
}

std::vector<int64_t> integers_attribute(const onnx::NodeProto& node, const char* name,
                                        const std::vector<int64_t>& otherwise) {
  for (const onnx::AttributeProto& attribute : node.attribute())
    if (attribute.name() == name) return {attribute.ints().begin(), attribute.ints().end()};
  return otherwise;
}

}  // namespace mii
