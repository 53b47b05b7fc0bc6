#include <algorithm>
#include <cmath>

#include "image/resample.h"

namespace mii {
namespace {

constexpr double kCubicSupport = 2.0;

// Keys' cubic with a = -0.5. The order of the operations decides the last bit.
double cubic(double x) {
  constexpr double a = -0.5;
  x = std::fabs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}

// Pillow keeps the size of its source as a float.
double reduction(size_t in_size, size_t out_size) {
  return static_cast<double>(static_cast<float>(in_size)) / static_cast<double>(out_size);
}

double support_of(double scale) { return kCubicSupport * std::max(scale, 1.0); }

int32_t to_fixed_point(double weight) {
  return static_cast<int32_t>((weight < 0 ? -0.5 : 0.5) + weight * (1 << AxisWeights::kWeightBits));
}

}  // namespace

size_t AxisWeights::max_samples(size_t in_size, size_t out_size) {
  return static_cast<size_t>(std::ceil(support_of(reduction(in_size, out_size)))) * 2 + 1;
}

size_t AxisWeights::block_outputs(size_t in_size, size_t out_size) {
  constexpr size_t kMaxTableEntries = 4u << 20;
  return std::clamp<size_t>(kMaxTableEntries / max_samples(in_size, out_size), 1, out_size);
}

AxisWeights::AxisWeights(size_t in_size, size_t out_size, size_t begin, size_t end)
    : begin_(begin), taps_((max_samples(in_size, out_size) + 3) / 4 * 4), first_(end - begin) {
  weights_.resize(first_.size() * taps_);
  const double scale = reduction(in_size, out_size);
  std::vector<double> exact(taps_);
  for (size_t output = begin; output < end; ++output)
    compute(output, scale, support_of(scale), in_size, exact);
}

void AxisWeights::compute(size_t output, double scale, double support, size_t in_size,
                          std::vector<double>& exact) {
  const double centre = (static_cast<double>(output) + 0.5) * scale;
  const double shrink = 1.0 / std::max(scale, 1.0);
  const auto first = static_cast<size_t>(std::max(0.0, centre - support + 0.5));
  const size_t last = std::min(static_cast<size_t>(centre + support + 0.5), in_size);
  const size_t samples = last - first;
  double sum = 0;
  for (size_t i = 0; i < samples; ++i) {
    exact[i] = cubic((static_cast<double>(i + first) - centre + 0.5) * shrink);
    sum += exact[i];
  }
  first_[output - begin_] = first;
  int32_t* fixed = weights_.data() + (output - begin_) * taps_;
  for (size_t i = 0; i < samples; ++i) fixed[i] = to_fixed_point(sum != 0.0 ? exact[i] / sum : exact[i]);
}

}  // namespace mii
