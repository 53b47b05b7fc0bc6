#include "engine/token_maps.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace mii {
namespace {

using heads::Rows64;

Rows64 transposed(const Matrix& matrix) {
  Rows64 result(matrix.cols(), matrix.rows());
  for (size_t i = 0; i < matrix.rows(); ++i)
    for (size_t j = 0; j < matrix.cols(); ++j) result.row(j)[i] = matrix.row(i)[j];
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
    const double mean = std::accumulate(token.begin(), token.end(), 0.0) / static_cast<double>(token.size());
    std::ranges::transform(token, result.row(i).begin(), [mean](float v) { return v - mean; });
  }
  return result;
}

// The mean of the rows, [1, C].
Rows64 mean_row(const Rows64& rows) {
  Rows64 mean(1, rows.cols());
  for (size_t i = 0; i < rows.rows(); ++i)
    for (size_t c = 0; c < rows.cols(); ++c)
      mean.row(0)[c] += rows.row(i)[c] / static_cast<double>(rows.rows());
  return mean;
}

}  // namespace

ScoreSplitter::ScoreSplitter(const TowerEnd& end, const Matrix& directions)
    : end_(end),
      directions_(directions),
      parts_(heads::product(end.projection, transposed(directions))),
      constants_(directions.rows()) {
  for (size_t c = 0; c < parts_.rows(); ++c)
    for (size_t k = 0; k < constants_.size(); ++k) {
      constants_[k] += end.beta[c] * parts_.row(c)[k];
      parts_.row(c)[k] *= end.gamma[c];
    }
}

// With x_i less its channels' mean, and m their mean over the tokens:
//   sigma = sqrt(m*m / C + epsilon), z = (gamma m / sigma + beta) * projection,
//   score = beta W t / |z| + sum over i of gamma W t * x_i / (T sigma |z|)
TokenMaps ScoreSplitter::split(const ImageTokens& tokens, std::span<const float> vector) const {
  const Rows64 x = without_channel_mean(tokens.tokens);
  Rows64 pooled = mean_row(x);
  const double length = norm_of(pooled.row(0));
  const double sigma = std::sqrt(length * length / static_cast<double>(x.cols()) + end_.epsilon);
  for (size_t c = 0; c < x.cols(); ++c)
    pooled.row(0)[c] = end_.gamma[c] * pooled.row(0)[c] / sigma + end_.beta[c];
  const double z = norm_of(heads::product(pooled, end_.projection).row(0));

  const size_t directions = constants_.size();
  TokenMaps result{.rows = tokens.rows, .cols = tokens.cols, .maps = Matrix(directions, x.rows())};
  const Rows64 products = heads::product(x, parts_);
  const double scale = 1 / (static_cast<double>(x.rows()) * sigma * z);
  for (size_t k = 0; k < directions; ++k) {
    for (size_t i = 0; i < x.rows(); ++i)
      result.maps.row(k)[i] = static_cast<float>(products.row(i)[k] * scale);
    result.constants.push_back(constants_[k] / z);
    const std::span<const float> direction = directions_.row(k);
    result.scores.push_back(std::inner_product(vector.begin(), vector.end(), direction.begin(), 0.0));
  }
  return result;
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
