#include "heads/mlp.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <numeric>
#include <string>
#include <utility>

#include "mii/error.h"

namespace mii::heads {
namespace {

constexpr std::array<std::pair<const char*, Then>, 6> kThens{{{"none", Then::nothing},
                                                              {"gelu", Then::gelu},
                                                              {"relu", Then::relu},
                                                              {"tanh", Then::tanh},
                                                              {"logistic", Then::logistic},
                                                              {"norm", Then::layer_norm}}};

constexpr size_t kMaxLayers = 8, kMaxWidth = 16384;
// A layer makes a number at most kMaxWidth * kLargest times as large: after eight of them it is still finite.
constexpr double kLargest = 1e20;
constexpr double kEpsilon = 1e-5;     // LibTorch's, in LayerNorm
constexpr size_t kRowsAtATime = 256;  // bounds the memory of what is between the layers

[[noreturn]] void refuse(const std::string& what) { throw Error(ErrorCode::invalid_argument, what); }

size_t inputs(const MlpLayer& layer) { return layer.weights.cols() - 1; }

void expect_numbers(const Rows64& numbers, const std::string& which) {
  if (!std::ranges::all_of(numbers.values(), [](double v) { return std::abs(v) <= kLargest; }))
    refuse(which + " has numbers that are not finite, or beyond 1e20");
}

void expect_layer(const MlpLayer& layer, const std::string& which) {
  const size_t out = layer.weights.rows(), cols = layer.weights.cols();
  if (out == 0 || out > kMaxWidth || cols < 2 || cols - 1 > kMaxWidth)
    refuse(which + " is [" + std::to_string(out) + ", " + std::to_string(cols) +
           "], expected 1 to 16384 values and a bias");
  const bool normed = layer.then == Then::layer_norm;
  if (layer.norm.rows() != (normed ? 2 : 0) || (normed && layer.norm.cols() != out))
    refuse(which + " has a norm that does not fit its " + std::to_string(out) + " values");
  expect_numbers(layer.weights, which);
  expect_numbers(layer.norm, which);
}

double gelu(double x) { return x * (1 + std::erf(x / std::numbers::sqrt2)) / 2; }
double relu(double x) { return std::max(x, 0.0); }
double logistic(double x) { return 1 / (1 + std::exp(-x)); }

void layer_norm(std::span<double> x, const Rows64& norm) {
  const auto n = static_cast<double>(x.size());
  const double mean = std::accumulate(x.begin(), x.end(), 0.0) / n;
  double squares = 0;
  for (const double v : x) squares += (v - mean) * (v - mean);
  const double scale = 1 / std::sqrt(squares / n + kEpsilon);
  for (size_t i = 0; i < x.size(); ++i) x[i] = (x[i] - mean) * scale * norm.row(0)[i] + norm.row(1)[i];
}

void finish(const MlpLayer& layer, std::span<double> values) {
  switch (layer.then) {
    case Then::nothing:
      return;
    case Then::gelu:
      std::ranges::transform(values, values.begin(), gelu);
      return;
    case Then::relu:
      std::ranges::transform(values, values.begin(), relu);
      return;
    case Then::tanh:
      std::ranges::transform(values, values.begin(), [](double x) { return std::tanh(x); });
      return;
    case Then::logistic:
      std::ranges::transform(values, values.begin(), logistic);
      return;
    case Then::layer_norm:
      layer_norm(values, layer.norm);
      return;
  }
}

// features: [n, in + 1], the last one 1; so are those that come out.
Rows64 passed_through(const MlpLayer& layer, const Rows64& features) {
  const size_t out = layer.weights.rows();
  Rows64 values(features.rows(), out + 1);
  for_each_scored_block(features, layer.weights, [&](const ScoredBlock& block) {
    for (size_t r = 0; r < block.rows; ++r) {
      const std::span<double> row = values.row(block.first + r);
      for (size_t k = 0; k < out; ++k) row[k] = block.scores[k * kBlock + r];
      finish(layer, row.first(out));
      row[out] = 1;
    }
  });
  return values;
}

}  // namespace

const char* to_string(Then then) {
  for (const auto& [name, known] : kThens)
    if (known == then) return name;
  return "";
}

Then parse_then(std::string_view name) {
  for (const auto& [known, then] : kThens)
    if (name == known) return then;
  refuse("a layer's step '" + std::string(name.substr(0, 40)) +
         "', expected none, gelu, relu, tanh, logistic or norm");
}

void expect_layers(const Mlp& mlp, size_t labels) {
  const std::vector<MlpLayer>& layers = mlp.layers;
  if (layers.empty() || layers.size() > kMaxLayers)
    refuse("a head of " + std::to_string(layers.size()) + " layers, expected 1 to 8");
  if (!(std::abs(mlp.weight) <= kLargest)) refuse("a head with a weight that is not finite");
  for (size_t i = 0; i < layers.size(); ++i) {
    const std::string which = "layer " + std::to_string(i + 1);
    expect_layer(layers[i], which);
    if (i > 0 && inputs(layers[i]) != layers[i - 1].weights.rows())
      refuse(which + " takes " + std::to_string(inputs(layers[i])) + " values, but the one before it gives " +
             std::to_string(layers[i - 1].weights.rows()));
  }
  if (layers.back().weights.rows() != labels)
    refuse("the last layer gives " + std::to_string(layers.back().weights.rows()) + " values for " +
           std::to_string(labels) + " labels");
}

Rows64 mlp_scores(const Mlp& mlp, const Matrix& vectors) {
  const size_t labels = mlp.layers.back().weights.rows();
  Rows64 scores(vectors.rows(), labels);
  for (size_t first = 0; first < vectors.rows(); first += kRowsAtATime) {
    std::vector<size_t> rows(std::min(kRowsAtATime, vectors.rows() - first));
    std::iota(rows.begin(), rows.end(), first);
    Rows64 values = features_of(some_rows(vectors, rows));
    for (const MlpLayer& layer : mlp.layers) values = passed_through(layer, values);
    for (size_t i = 0; i < rows.size(); ++i)
      for (size_t k = 0; k < labels; ++k) scores.row(first + i)[k] = mlp.weight * values.row(i)[k];
  }
  return scores;
}

}  // namespace mii::heads
