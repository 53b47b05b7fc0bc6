#include "stats/regression.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "mii/error.h"

namespace mii::stats {
namespace {

void expect_finite(std::span<const float> values, const char* what) {
  const auto wrong = std::ranges::count_if(values, [](float v) { return !std::isfinite(v); });
  if (wrong > 0)
    throw Error(ErrorCode::invalid_argument, std::to_string(wrong) + " of " + std::to_string(values.size()) +
                                                 " " + what + " are not finite numbers");
}

// Sum over the cases of value(i), each as often as it counts.
template <typename Value>
double sum_of(size_t cases, Multiplicities times, const Value& value) {
  double sum = 0;
  for (size_t i = 0; i < cases; ++i) sum += multiplicity(times, i) * value(i);
  return sum;
}

}  // namespace

RegressionErrors regression_errors(std::span<const float> predictions, std::span<const float> truth,
                                   Multiplicities times) {
  if (predictions.size() != truth.size())
    throw Error(ErrorCode::invalid_argument, std::to_string(predictions.size()) + " predictions for " +
                                                 std::to_string(truth.size()) + " cases");
  expect_finite(predictions, "predictions");
  expect_finite(truth, "true values");
  const auto sum = [&](const auto& value) { return sum_of(truth.size(), times, value); };
  const auto difference = [&](size_t i) { return static_cast<double>(predictions[i]) - truth[i]; };
  const auto square = [](double v) { return v * v; };

  const double n = sum([](size_t) { return 1.0; });
  const double squares = sum([&](size_t i) { return square(difference(i)); });
  const double mean = sum([&](size_t i) { return static_cast<double>(truth[i]); }) / n;
  const double spread = sum([&](size_t i) { return square(truth[i] - mean); });
  const double bias = sum(difference) / n;
  const double deviation = std::sqrt(sum([&](size_t i) { return square(difference(i) - bias); }) / (n - 1));
  return {.mae = sum([&](size_t i) { return std::abs(difference(i)); }) / n,
          .rmse = std::sqrt(squares / n),
          .r2 = spread > 0 ? 1 - squares / spread : NAN,
          .bias = bias,
          .limit_low = bias - kNormal975 * deviation,
          .limit_high = bias + kNormal975 * deviation};
}

}  // namespace mii::stats
