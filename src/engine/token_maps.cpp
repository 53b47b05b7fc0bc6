#include "engine/token_maps.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "mii/error.h"

namespace mii {
namespace {

using heads::Rows64;

Rows64 transposed(const Matrix& matrix) {
  Rows64 result(matrix.cols(), matrix.rows());
  for (size_t i = 0; i < matrix.rows(); ++i)
    for (size_t j = 0; j < matrix.cols(); ++j) result.row(j)[i] = matrix.row(i)[j];
  return result;
}

Rows64 as_double(const Matrix& matrix) {
  Rows64 result(matrix.rows(), matrix.cols());
  for (size_t i = 0; i < matrix.rows(); ++i) std::ranges::copy(matrix.row(i), result.row(i).begin());
  return result;
}

double norm_of(std::span<const double> values) {
  return std::sqrt(std::inner_product(values.begin(), values.end(), values.begin(), 0.0));
}

// Each token less the mean of its channels.
Rows64 without_channel_mean(const Matrix& tokens) {
  Rows64 result(tokens.rows(), tokens.cols());
  for (size_t i = 0; i < tokens.rows(); ++i) {
    const std::span<const float> token = tokens.row(i);
    // In several sums, so that one addition need not wait for the other.
    std::array<double, 8> sums{};
    for (size_t c = 0; c < token.size(); ++c) sums[c % sums.size()] += token[c];
    const double mean = std::accumulate(sums.begin(), sums.end(), 0.0) / static_cast<double>(token.size());
    std::ranges::transform(token, result.row(i).begin(), [mean](float v) { return v - mean; });
  }
  return result;
}

// The mean of the rows, [1, C].
Rows64 mean_row(const Rows64& rows) {
  Rows64 mean(1, rows.cols());
  const std::span<double> sum = mean.row(0);
  for (size_t i = 0; i < rows.rows(); ++i) {
    const std::span<const double> row = rows.row(i);
    for (size_t c = 0; c < sum.size(); ++c) sum[c] += row[c];
  }
  for (double& v : sum) v /= static_cast<double>(rows.rows());
  return mean;
}

// The length of vector * matrix, whose rows are read one after another.
double length_of_product(std::span<const double> vector, const Matrix& matrix) {
  std::vector<double> product(matrix.cols());
  for (size_t i = 0; i < vector.size(); ++i) {
    const std::span<const float> row = matrix.row(i);
    for (size_t c = 0; c < product.size(); ++c) product[c] += vector[i] * row[c];
  }
  return norm_of(product);
}

}  // namespace

void expect_tokens(const ImageTokens& tokens, const TokenShape& shape, size_t vector_length) {
  const auto wrong = [](const char* what, size_t found, size_t expected) {
    throw Error(ErrorCode::invalid_argument, "image tokens of " + std::to_string(found) + what +
                                                 ", expected " + std::to_string(expected) +
                                                 " as of this model");
  };
  const Matrix& values = tokens.tokens;
  if (values.rows() == 0 || values.rows() != shape.tokens() || tokens.cols != shape.cols)
    wrong(" rows", values.rows(), std::max<size_t>(shape.tokens(), 1));
  if (values.cols() != shape.channels) wrong(" values each", values.cols(), shape.channels);
  if (tokens.vector.size() != vector_length)
    wrong(" values in the vector", tokens.vector.size(), vector_length);
}

std::vector<double> scores_of(std::span<const float> vector, const Matrix& directions) {
  std::vector<double> scores;
  for (size_t k = 0; k < directions.rows(); ++k)
    scores.push_back(std::inner_product(vector.begin(), vector.end(), directions.row(k).begin(), 0.0));
  return scores;
}

void weigh(const Matrix& gradients, const Matrix& inputs, size_t first, Matrix& to) {
  for (size_t row = 0; row < gradients.rows(); ++row) {
    const size_t k = row / inputs.rows(), i = row % inputs.rows();
    to.row(first + k)[i] = static_cast<float>(
        std::inner_product(inputs.row(i).begin(), inputs.row(i).end(), gradients.row(row).begin(), 0.0));
  }
}

class ScoreSplitter::Impl {
 public:
  Impl(std::shared_ptr<const TowerEnd> end, const Matrix& directions);

  TokenMaps split(const ImageTokens& tokens) const;

 private:
  std::shared_ptr<const TowerEnd> end_;
  Matrix directions_;
  Rows64 parts_;                   // [C, K]: gamma * (projection * direction)
  std::vector<double> constants_;  // [K]: beta * (projection * direction)
};

ScoreSplitter::Impl::Impl(std::shared_ptr<const TowerEnd> end, const Matrix& directions)
    : end_(std::move(end)),
      directions_(directions.clone()),
      parts_(heads::product(as_double(end_->projection), transposed(directions))),
      constants_(directions.rows()) {
  for (size_t c = 0; c < parts_.rows(); ++c)
    for (size_t k = 0; k < constants_.size(); ++k) {
      constants_[k] += end_->beta[c] * parts_.row(c)[k];
      parts_.row(c)[k] *= end_->gamma[c];
    }
}

// With x_i less its channels' mean, and m their mean over the tokens:
//   sigma = sqrt(m*m / C + epsilon), z = (gamma m / sigma + beta) * projection,
//   score = beta W t / |z| + sum over i of gamma W t * x_i / (T sigma |z|)
TokenMaps ScoreSplitter::Impl::split(const ImageTokens& tokens) const {
  expect_tokens(tokens, {tokens.rows, tokens.cols, end_->gamma.size()}, directions_.cols());
  const Rows64 x = without_channel_mean(tokens.tokens);
  Rows64 pooled = mean_row(x);
  const double length = norm_of(pooled.row(0));
  const double sigma = std::sqrt(length * length / static_cast<double>(x.cols()) + end_->epsilon);
  for (size_t c = 0; c < x.cols(); ++c)
    pooled.row(0)[c] = end_->gamma[c] * pooled.row(0)[c] / sigma + end_->beta[c];
  const double z = length_of_product(pooled.row(0), end_->projection);

  const size_t directions = constants_.size();
  TokenMaps result{.rows = tokens.rows, .cols = tokens.cols, .maps = Matrix(directions, x.rows())};
  const Rows64 products = heads::product(x, parts_);
  const double scale = 1 / (static_cast<double>(x.rows()) * sigma * z);
  for (size_t k = 0; k < directions; ++k) {
    for (size_t i = 0; i < x.rows(); ++i)
      result.maps.row(k)[i] = static_cast<float>(products.row(i)[k] * scale);
    result.constants.push_back(constants_[k] / z);
  }
  result.scores = scores_of(tokens.vector, directions_);
  return result;
}

TokenMaps ScoreSplitter::split(const ImageTokens& tokens) const { return impl_->split(tokens); }

ScoreSplitter make_splitter(std::shared_ptr<const TowerEnd> end, const Matrix& directions) {
  return ScoreSplitter(std::make_shared<const ScoreSplitter::Impl>(std::move(end), directions));
}

double TokenMaps::completeness_error(size_t k) const {
  const std::span<const float> map = maps.row(k);
  return std::abs(std::accumulate(map.begin(), map.end(), constants[k]) - scores[k]);
}

std::vector<float> TokenMaps::centred(size_t k) const {
  const std::span<const float> map = maps.row(k);
  const double mean = std::accumulate(map.begin(), map.end(), 0.0) / static_cast<double>(map.size());
  std::vector<float> result(map.size());
  std::ranges::transform(map, result.begin(), [mean](float v) { return static_cast<float>(v - mean); });
  return result;
}

Matrix contrasted(const Matrix& directions) {
  Matrix result = directions.clone();
  for (size_t d = 0; d < directions.cols(); ++d) {
    double sum = 0;
    for (size_t k = 0; k < directions.rows(); ++k) sum += directions.row(k)[d];
    const double mean = sum / static_cast<double>(directions.rows());
    for (size_t k = 0; k < directions.rows(); ++k)
      result.row(k)[d] = static_cast<float>(directions.row(k)[d] - mean);
  }
  return result;
}

}  // namespace mii
