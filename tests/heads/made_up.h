#pragma once

#include <algorithm>
#include <cmath>
#include <random>
#include <string>

#include "heads/fit_head.h"

namespace mii::heads {

/// Unit vectors around an axis for each label, two images a patient; equal calls give equal data.
struct MadeUp {
  size_t rows = 120;
  size_t labels = 3;
  size_t dim = 8;
  double noise = 0.3;

  LabelledVectors data() const {
    LabelledVectors made{Matrix(rows, dim), {}, {}, {}};
    for (size_t k = 0; k < labels; ++k)
      made.truth.labels.push_back(std::string(1, static_cast<char>('a' + k)));
    std::mt19937 random(1);
    for (size_t i = 0; i < rows; ++i) {
      const size_t label = i / 2 % labels;
      double squares = 0;
      for (size_t d = 0; d < dim; ++d) {
        const double uniform = static_cast<double>(random()) / 4294967296.0 - 0.5;
        made.vectors.row(i)[d] = static_cast<float>((d == label ? 1 : 0) + 2 * noise * uniform);
        squares += std::pow(made.vectors.row(i)[d], 2);
      }
      for (float& v : made.vectors.row(i)) v = static_cast<float>(v / std::sqrt(squares));
      made.groups.push_back("patient " + std::to_string(i / 2));
      for (size_t k = 0; k < labels; ++k) made.truth.is.push_back(k == label ? 1 : 0);
    }
    return made;
  }

  /// The axes themselves.
  LabelTexts texts() const {
    LabelTexts texts{Matrix(labels, dim), 20};
    for (size_t k = 0; k < labels; ++k) texts.vectors.row(k)[k] = 1;
    return texts;
  }

  /// The first coordinate as a number.
  LabelledVectors numbers() const {
    LabelledVectors made = data();
    made.truth = {};
    for (size_t i = 0; i < rows; ++i) made.values.push_back(10 + 5 * made.vectors.row(i)[0]);
    return made;
  }
};

/// In place of LibTorch: the weighted sums of each label's rows, normed and made larger. The second of three
/// epochs is the best.
inline TrainedMlp sums_of_labels(const MlpProblem& problem) {
  const size_t dim = problem.vectors.cols(), labels = problem.targets.cols();
  MlpLayer sums{.weights = Rows64(labels, dim + 1), .then = Then::layer_norm, .norm = Rows64(2, labels)};
  MlpLayer larger{.weights = Rows64(labels, labels + 1)};
  for (size_t k = 0; k < labels; ++k) {
    for (size_t i = 0; i < problem.vectors.rows(); ++i)
      for (size_t d = 0; d < dim; ++d)
        sums.weights.row(k)[d] +=
            problem.weights.row(i)[k] * problem.targets.row(i)[k] * problem.vectors.row(i)[d];
    for (double& v : sums.weights.row(k)) v = static_cast<float>(v);
    sums.norm.row(0)[k] = 1;
    larger.weights.row(k)[k] = 4;
  }
  return {{std::move(sums), std::move(larger)}, {0.5, 0.25, 0.75}};
}

/// By what no vectors were made.
inline Identity some_identity() { return {"w", "c", "t", "f32", "profile auto", "1.0"}; }

/// Share of rows whose likeliest label is right.
inline double accuracy(const FittedHead& head, const LabelledVectors& data) {
  const Matrix p = head.score(data.vectors);
  size_t right = 0;
  for (size_t i = 0; i < p.rows(); ++i)
    right += data.truth.holds(i, static_cast<size_t>(std::ranges::max_element(p.row(i)) - p.row(i).begin()));
  return static_cast<double>(right) / static_cast<double>(p.rows());
}

}  // namespace mii::heads
