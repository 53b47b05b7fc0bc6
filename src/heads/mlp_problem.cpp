#include "heads/mlp_problem.h"

#include <span>

#include "heads/stored_matrix.h"

namespace mii::heads {
namespace {

using Loss = MlpProblem::Loss;

const char* to_string(Loss loss) {
  switch (loss) {
    case Loss::softmax:
      return "softmax";
    case Loss::sigmoid:
      return "sigmoid";
    case Loss::squared:
      return "squared";
  }
  return "";
}

}  // namespace

MlpProblem mlp_problem(const LabelledVectors& data, const Split& split, bool balanced) {
  const Truth& truth = data.truth;
  const bool value = !data.values.empty();
  const size_t n = data.vectors.rows(), outputs = value ? 1 : truth.labels.size();
  MlpProblem problem{.loss = value           ? Loss::squared
                             : truth.several ? Loss::sigmoid
                                             : Loss::softmax,
                     .vectors = data.vectors.clone(),
                     .targets = Matrix(n, outputs),
                     .weights = Matrix(n, outputs),
                     .validate = std::vector<uint8_t>(n)};
  for (const size_t row : split.held_out) problem.validate[row] = 1;
  LabelWeights weights{std::vector<double>(outputs, 1), std::vector<double>(outputs, 1)};
  if (balanced && !value) weights = balanced_weights(truth.some_rows(split.fit), truth.several);
  for (size_t i = 0; i < n; ++i)
    for (size_t k = 0; k < outputs; ++k) {
      const bool holds = value || truth.holds(i, k);
      problem.targets.row(i)[k] = value ? static_cast<float>(data.values[i]) : holds ? 1 : 0;
      problem.weights.row(i)[k] = static_cast<float>(holds ? weights.yes[k] : weights.no[k]);
    }
  return problem;
}

void write_mlp_problem(const MlpProblem& problem, const std::filesystem::path& path) {
  const auto shape = [](const Matrix& m) { return shape_of(m.rows(), m.cols()); };
  SafetensorsWriter file(path,
                         {{"vectors", DType::f32, shape(problem.vectors)},
                          {"targets", DType::f32, shape(problem.targets)},
                          {"weights", DType::f32, shape(problem.weights)},
                          {"validate", DType::u8, shape_of(problem.validate.size(), 1)}},
                         {{"loss", to_string(problem.loss)}});
  for (const Matrix* matrix : {&problem.vectors, &problem.targets, &problem.weights})
    file.write(std::as_bytes(matrix->values()));
  file.write(std::as_bytes(std::span(problem.validate)));
  file.commit();
}

}  // namespace mii::heads
