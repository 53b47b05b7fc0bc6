// LibTorch's own depthwise convolution on a CPU takes most of a training step. The channels of a token are
// contiguous here, so nine fused rows of multiply-adds are enough.
#include <vector>

#include "train/towers.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define MII_ALL_CPUS __attribute__((target_clones("avx512f", "arch=haswell", "default")))
#else
#define MII_ALL_CPUS
#endif

namespace mii {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

struct Grid {
  int64_t height;
  int64_t width;
  int64_t channels;
  int64_t size() const { return height * width * channels; }
};

// y = x + sum over taps of weight[tap] * x[shifted by tap], plus bias where there is one. weight [9, C].
MII_ALL_CPUS void convolve_image(const float* x, const Grid grid, const float* weight, const float* bias,
                                 float* y) {
  const int64_t c = grid.channels;
  for (int64_t row = 0; row < grid.height; ++row) {
    for (int64_t column = 0; column < grid.width; ++column) {
      const int64_t at = (row * grid.width + column) * c;
      float* __restrict to = y + at;
      const float* centre = x + at;
      for (int64_t i = 0; i < c; ++i) to[i] = centre[i] + (bias != nullptr ? bias[i] : 0.0f);
      for (int64_t dy = -1; dy <= 1; ++dy) {
        if (row + dy < 0 || row + dy >= grid.height) continue;
        for (int64_t dx = -1; dx <= 1; ++dx) {
          if (column + dx < 0 || column + dx >= grid.width) continue;
          const float* from = centre + (dy * grid.width + dx) * c;
          const float* tap = weight + ((dy + 1) * 3 + dx + 1) * c;
          for (int64_t i = 0; i < c; ++i) to[i] += tap[i] * from[i];
        }
      }
    }
  }
}

// sums[tap, C] += gradient * x[shifted by tap]; sums[9, C] += gradient, for the bias.
MII_ALL_CPUS void accumulate_image(const float* x, const float* gradient, const Grid grid, float* sums) {
  const int64_t c = grid.channels;
  for (int64_t row = 0; row < grid.height; ++row) {
    for (int64_t column = 0; column < grid.width; ++column) {
      const int64_t at = (row * grid.width + column) * c;
      const float* g = gradient + at;
      float* __restrict bias = sums + 9 * c;
      for (int64_t i = 0; i < c; ++i) bias[i] += g[i];
      for (int64_t dy = -1; dy <= 1; ++dy) {
        if (row + dy < 0 || row + dy >= grid.height) continue;
        for (int64_t dx = -1; dx <= 1; ++dx) {
          if (column + dx < 0 || column + dx >= grid.width) continue;
          const float* from = x + at + (dy * grid.width + dx) * c;
          float* __restrict tap = sums + ((dy + 1) * 3 + dx + 1) * c;
          for (int64_t i = 0; i < c; ++i) tap[i] += g[i] * from[i];
        }
      }
    }
  }
}

Tensor convolve(const Tensor& x, const Tensor& taps, const Tensor& bias) {
  const Grid grid{x.size(1), x.size(2), x.size(3)};
  Tensor y = torch::empty_like(x);
  const float* from = x.data_ptr<float>();
  const float* weight = taps.data_ptr<float>();
  const float* offset = bias.defined() ? bias.data_ptr<float>() : nullptr;
  float* to = y.data_ptr<float>();
  for (int64_t b = 0; b < x.size(0); ++b)
    convolve_image(from + b * grid.size(), grid, weight, offset, to + b * grid.size());
  return y;
}

// weight [C, 1, 3, 3] to [9, C].
Tensor taps_of(const Tensor& weight) { return weight.reshape({weight.size(0), 9}).t().contiguous(); }

class AddDepthwiseConv : public torch::autograd::Function<AddDepthwiseConv> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& weight, const Tensor& bias) {
    context->save_for_backward({x, weight});
    return convolve(x, taps_of(weight), bias);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const Tensor& x = saved[0];
    const Tensor& weight = saved[1];
    const Tensor gradient = gradients[0].contiguous();
    // The gradient of x: the same convolution with the taps reversed.
    const Tensor x_gradient = convolve(gradient, taps_of(weight).flip(0).contiguous(), {});
    const Grid grid{x.size(1), x.size(2), x.size(3)};
    Tensor sums = torch::zeros({10, grid.channels}, x.options());
    for (int64_t b = 0; b < x.size(0); ++b)
      accumulate_image(x.data_ptr<float>() + b * grid.size(), gradient.data_ptr<float>() + b * grid.size(),
                       grid, sums.data_ptr<float>());
    return {x_gradient, sums.slice(0, 0, 9).t().reshape_as(weight), sums[9]};
  }
};

}  // namespace

Tensor add_depthwise_conv(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  if (x.device().is_cpu() && x.scalar_type() == torch::kFloat32)
    return AddDepthwiseConv::apply(x.contiguous(), weight, bias);
  const Tensor y = torch::conv2d(x.permute({0, 3, 1, 2}), weight, bias, 1, 1, 1, x.size(3));
  return x + y.permute({0, 2, 3, 1});
}

}  // namespace mii
