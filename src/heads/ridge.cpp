#include "heads/ridge.h"

#include <numeric>

#include "heads/cholesky.h"

namespace mii::heads {
namespace {

// The mean of the rows; of the last feature, which is 1, it is 1.
std::vector<double> mean_of(const Rows64& features) {
  std::vector<double> mean(features.cols());
  for (size_t i = 0; i < features.rows(); ++i)
    for (size_t d = 0; d < mean.size(); ++d) mean[d] += features.row(i)[d];
  for (double& m : mean) m /= static_cast<double>(features.rows());
  return mean;
}

}  // namespace

Rows64 fit_ridge(const Rows64& features, std::span<const double> values, double c) {
  const size_t dim = features.cols() - 1;
  const std::vector<double> mean = mean_of(features);
  const double mean_value =
      std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  Rows64 centred(features.rows(), dim);
  std::vector<double> right(dim);
  for (size_t i = 0; i < features.rows(); ++i) {
    for (size_t d = 0; d < dim; ++d) {
      centred.row(i)[d] = features.row(i)[d] - mean[d];
      right[d] += centred.row(i)[d] * (values[i] - mean_value);
    }
  }
  Rows64 matrix = gram(centred);
  for (size_t d = 0; d < dim; ++d) matrix.row(d)[d] += 1 / c;
  const std::vector<double> w = solve(matrix, right);

  Rows64 coefficients(1, features.cols());
  coefficients.row(0)[dim] = mean_value;
  for (size_t d = 0; d < dim; ++d) {
    coefficients.row(0)[d] = w[d];
    coefficients.row(0)[dim] -= w[d] * mean[d];
  }
  return coefficients;
}

double squared_errors(const Rows64& features, std::span<const double> values, const Rows64& coefficients) {
  std::vector<double> errors(features.rows());
  for_each_scored_block(features, coefficients, [&](const ScoredBlock& block) {
    for (size_t r = 0; r < block.rows; ++r)
      errors[block.first + r] = block.scores[r] - values[block.first + r];
  });
  return std::inner_product(errors.begin(), errors.end(), errors.begin(), 0.0);
}

}  // namespace mii::heads
