#include "onnx/tower_match.h"

#include <algorithm>

#include "mii/error.h"
#include "onnx/tensor_values.h"

namespace mii {
namespace {

Shape without_ones(const Shape& shape) {
  Shape sides;
  for (const int64_t side : shape)
    if (side != 1) sides.push_back(side);
  return sides;
}

// The step as the layout would ask for it; places may also be rows of a table.
bool same_kind(const LayoutStep& expected, const GraphStep& found) {
  const bool places = expected.kind == StepKind::addend && expected.tensor.shape.size() == 2;
  return found.kind == expected.kind || (places && found.kind == StepKind::table);
}

class Matcher {
 public:
  Matcher(const std::vector<GraphStep>& steps, const TowerMatch& match) : steps_(steps), match_(match) {}

  std::map<std::string, FoundTensor> match(const std::vector<LayoutStep>& layout) {
    // What is done to pixels before the first convolution is their normalisation.
    if (layout.front().kind == StepKind::kernel)
      while (next_ < steps_.size() && steps_[next_].kind != StepKind::kernel) ++next_;
    for (const LayoutStep& expected : layout) take(expected);
    if (next_ < steps_.size())
      refuse("the tower ends with '" + layout.back().tensor.name + "', found " + found());
    return std::move(tensors_);
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    throw Error(ErrorCode::corrupt_weights, match_.file_name + ": " + match_.tower + ": " + what);
  }

  // What comes next, in words.
  std::string found() const {
    if (next_ == steps_.size()) return "the end of the graph";
    return std::string(to_string(steps_[next_].kind)) + " (" + described(steps_[next_]) + ")";
  }

  static std::string described(const GraphStep& step) {
    const GraphConstant& constant = step.constant;
    if (constant.tensor != nullptr)
      return step.where() + ", with '" + constant.source.substr(0, 200) + "' " + to_string(constant.shape);
    if (!constant.source.empty())
      return step.where() + ", with what " + constant.source + " computes of constants";
    return step.where();
  }

  static std::string wanted(const LayoutStep& expected) {
    if (expected.tensor.name.empty()) return to_string(expected.kind);
    return "'" + expected.tensor.name + "' " + to_string(expected.tensor.shape) + ", " +
           to_string(expected.kind);
  }

  // Added to scores, [.., T, T], or chosen where a token may not be seen, [.., T].
  bool is_mask(const GraphStep& step) const {
    const Shape& shape = step.constant.shape;
    const int64_t side = match_.mask_side;
    if (step.constant.tensor == nullptr || shape.empty() || shape.back() != side) return false;
    return (step.kind == StepKind::other && step.node->op_type() == "Where") ||
           (step.kind == StepKind::addend && without_ones(shape) == Shape{side, side});
  }

  void take(const LayoutStep& expected) {
    while (next_ < steps_.size() && is_mask(steps_[next_]) &&
           without_ones(expected.tensor.shape) != without_ones(steps_[next_].constant.shape))
      ++next_;
    if (next_ == steps_.size() || !same_kind(expected, steps_[next_])) {
      if (!expected.may_be_absent) {
        refuse("expected " + wanted(expected) + last_layer() + ", found " + found());
      }
      tensors_[expected.tensor.name] = {};
      return;
    }
    const GraphStep& step = steps_[next_++];
    if (expected.tensor.name.empty()) return;
    tensors_[expected.tensor.name] = found_tensor(expected, step);
    last_ = expected.tensor.name;
  }

  std::string last_layer() const { return last_.empty() ? "" : " after '" + last_ + "'"; }

  FoundTensor found_tensor(const LayoutStep& expected, const GraphStep& step) const {
    const GraphConstant& constant = step.constant;
    const auto wrong = [&](const std::string& what) {
      refuse(what + " for " + wanted(expected) + ": " + described(step));
    };
    if (constant.tensor == nullptr) wrong("the tensor is computed, expected a stored one");
    if (!weight_type(*constant.tensor))
      wrong("type " + std::to_string(constant.tensor->data_type()) +
            ", expected FLOAT, FLOAT16 or BFLOAT16,");
    FoundTensor tensor{constant.tensor, false};
    if (expected.kind == StepKind::matrix)
      tensor.transposed = (step.output_first != constant.transposed) != expected.output_first;
    if (!fits(expected, constant, tensor.transposed)) wrong("another shape than expected");
    if (expected.kind == StepKind::kernel) expect_form(expected, step);
    return tensor;
  }

  static bool fits(const LayoutStep& expected, const GraphConstant& constant, bool transposed) {
    const Shape& published = expected.tensor.shape;
    Shape shape = constant.shape;
    if (expected.kind == StepKind::matrix || expected.kind == StepKind::kernel ||
        expected.kind == StepKind::table) {
      if (transposed) std::reverse(shape.begin(), shape.end());
      return shape == published && !constant.reshaped &&
             (expected.kind == StepKind::matrix || !constant.transposed);
    }
    if (constant.reshaped) return element_count(shape) == element_count(published) && !constant.transposed;
    return without_ones(shape) == without_ones(published) && (published.size() == 1 || !constant.transposed);
  }

  void expect_form(const LayoutStep& expected, const GraphStep& step) const {
    const ConvolutionForm& form = expected.form;
    const onnx::NodeProto& node = *step.node;
    const auto expect = [&](const char* name, const std::vector<int64_t>& otherwise,
                            const std::vector<int64_t>& wanted_values) {
      const std::vector<int64_t> values = integers_attribute(node, name, otherwise);
      if (values != wanted_values)
        refuse(std::string(name) + " " + to_string(values) + " of the convolution with '" +
               expected.tensor.name + "', expected " + to_string(wanted_values) + ": " + described(step));
    };
    expect("strides", {1, 1}, {form.stride, form.stride});
    expect("pads", {0, 0, 0, 0}, {form.padding, form.padding, form.padding, form.padding});
    expect("dilations", {1, 1}, {1, 1});
    const int64_t groups = integer_attribute(node, "group", 1);
    if (groups != form.groups)
      refuse(std::to_string(groups) + " groups of the convolution with '" + expected.tensor.name +
             "', expected " + std::to_string(form.groups) + ": " + described(step));
  }

  const std::vector<GraphStep>& steps_;
  const TowerMatch& match_;
  size_t next_ = 0;
  std::string last_;  // the tensor that was found last
  std::map<std::string, FoundTensor> tensors_;
};

}  // namespace

std::map<std::string, FoundTensor> match_tower(const std::vector<LayoutStep>& layout,
                                               const std::vector<GraphStep>& steps, const TowerMatch& match) {
  return Matcher(steps, match).match(layout);
}

}  // namespace mii
