#include <algorithm>
#include <cmath>
#include <vector>

#include "mii/error.h"
#include "mii/series.h"

namespace mii {
namespace {

double pooled(std::vector<double>& values, Pooling pooling) {
  const auto n = static_cast<double>(values.size());
  const auto mean = [&] {
    double sum = 0;
    for (const double v : values) sum += v;
    return sum / n;
  };
  switch (pooling) {
    case Pooling::mean:
      return mean();
    case Pooling::max:
      return *std::ranges::max_element(values);
    case Pooling::median: {
      std::ranges::sort(values);
      const size_t half = values.size() / 2;
      return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
    }
    case Pooling::std: {
      const double centre = mean();
      double squares = 0;
      for (const double v : values) squares += (v - centre) * (v - centre);
      return std::sqrt(squares / n);
    }
  }
  return 0;
}

}  // namespace

Matrix pool_slices(const Matrix& slices, Pooling pooling) {
  if (slices.rows() == 0) throw Error(ErrorCode::invalid_argument, "no slices to pool");
  Matrix result(1, slices.cols());
  std::vector<double> column(slices.rows());
  double squares = 0;
  for (size_t d = 0; d < slices.cols(); ++d) {
    for (size_t i = 0; i < slices.rows(); ++i) column[i] = slices.row(i)[d];
    const double value = pooled(column, pooling);
    result.row(0)[d] = static_cast<float>(value);
    squares += value * value;
  }
  if (pooling == Pooling::std || squares == 0) return result;
  const auto scale = static_cast<float>(1 / std::sqrt(squares));
  for (float& value : result.values()) value *= scale;
  return result;
}

}  // namespace mii
