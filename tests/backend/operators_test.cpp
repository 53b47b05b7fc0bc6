// Every operator of the CPU backend against the plain loops of the reference, over sizes around the vector
// width.

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "backend/cpu/cpu_backend.h"
#include "backend/reference/reference_backend.h"

#ifdef MII_TEST_WITHOUT_AVX512
#include <hwy/targets.h>
namespace {
const bool forced_down = [] {
  hwy::DisableTargets(HWY_AVX3 | HWY_AVX3_DL);
  return true;
}();
}  // namespace
#endif

namespace mii {
namespace {

class Values {
 public:
  explicit Values(uint32_t seed) : engine_(seed) {}

  std::vector<float> normal(int64_t n, float deviation = 1, float mean = 0) {
    std::normal_distribution<float> distribution(mean, deviation);
    std::vector<float> values(n);
    for (float& v : values) v = distribution(engine_);
    return values;
  }

 private:
  std::mt19937 engine_;
};

// One operator on made-up operands: builds its weights for a backend from the seed alone, returns its result.
using Operator = std::function<std::vector<float>(Backend&)>;

Linear make_linear(Backend& backend, Values& values, int64_t in, int64_t out) {
  const std::vector<float> weight = values.normal(in * out, 1 / std::sqrt(static_cast<float>(in)));
  Linear linear{nullptr, values.normal(out, 0.1f), in, out};
  std::vector<BFloat16> rounded(weight.size());
  for (size_t i = 0; i < weight.size(); ++i) rounded[i] = to_bfloat16(weight[i]);
  const bool half = backend.weight_dtype() == DType::bf16;
  const void* data = half ? static_cast<const void*>(rounded.data()) : weight.data();
  linear.weight = backend.pack({static_cast<const std::byte*>(data), backend.weight_dtype(), {out, in}},
                               Backend::WeightLayout::out_in);
  return linear;
}

LayerNorm make_norm(Values& values, int64_t channels) {
  return {values.normal(channels, 0.2f, 1), values.normal(channels, 0.1f), 1e-5f};
}

std::vector<float> layer_norm(Backend& backend, int64_t rows, int64_t channels) {
  Values values(1);
  std::vector<float> x = values.normal(rows * channels, 2, 0.5f), y(x.size());
  backend.layer_norm({x.data(), rows, channels}, make_norm(values, channels), {y.data(), rows, channels});
  return y;
}

std::vector<float> depthwise(Backend& backend, const TokenGrid& grid, int64_t channels) {
  Values values(2);
  std::vector<float> x = values.normal(grid.rows() * channels), y(x.size());
  const DepthwiseConv conv{values.normal(9 * channels, 0.3f), values.normal(channels)};
  backend.depthwise_conv_add({x.data(), grid.rows(), channels}, grid, conv,
                             {y.data(), grid.rows(), channels});
  return y;
}

struct PatchShape {
  int64_t in, out, size, stride, padding;
};
std::vector<float> patch_conv(Backend& backend, const TokenGrid& grid, const PatchShape& s) {
  Values values(3);
  const std::vector<float> x = values.normal(grid.rows() * s.in);
  const PatchConv conv{make_linear(backend, values, s.size * s.size * s.in, s.out), s.size, s.stride,
                       s.padding};
  const int64_t rows = grid.batch * patches_along(grid.height, conv) * patches_along(grid.width, conv);
  std::vector<float> y(rows * s.out);
  backend.patch_conv({const_cast<float*>(x.data()), grid.rows(), s.in}, grid, conv, {y.data(), rows, s.out});
  return y;
}

std::vector<float> norm_linear(Backend& backend, int64_t rows, int64_t in, int64_t out) {
  Values values(4);
  const std::vector<float> x = values.normal(rows * in);
  std::vector<float> y(rows * out);
  const LayerNorm norm = make_norm(values, in);
  backend.norm_linear({x.data(), rows, in}, norm, make_linear(backend, values, in, out),
                      {y.data(), rows, out});
  return y;
}

std::vector<float> window_attention(Backend& backend, const TokenGrid& grid, int64_t heads, int64_t dim,
                                    int64_t window) {
  Values values(5);
  const int64_t channels = heads * dim;
  const std::vector<float> qkv = values.normal(grid.rows() * 3 * channels),
                           padding = values.normal(3 * channels);
  std::vector<float> x = values.normal(grid.rows() * channels);
  backend.window_attention_add({qkv.data(), grid.rows(), 3 * channels}, {grid, heads, window, padding},
                               make_linear(backend, values, channels, channels),
                               {x.data(), grid.rows(), channels});
  return x;
}

std::vector<float> channel_attention(Backend& backend, const TokenGrid& grid, int64_t groups, int64_t dim) {
  Values values(6);
  const int64_t channels = groups * dim;
  const std::vector<float> qkv = values.normal(grid.rows() * 3 * channels);
  std::vector<float> x = values.normal(grid.rows() * channels);
  const float scale = 1 / std::sqrt(static_cast<float>(grid.tokens()));
  backend.channel_attention_add({qkv.data(), grid.rows(), 3 * channels}, {grid, groups, scale},
                                make_linear(backend, values, channels, channels),
                                {x.data(), grid.rows(), channels});
  return x;
}

std::vector<float> text_attention(Backend& backend, const std::vector<int64_t>& offsets, int64_t heads,
                                  int64_t dim, bool causal) {
  Values values(7);
  const int64_t channels = heads * dim;
  const int64_t rows = offsets.back();
  const std::vector<float> qkv = values.normal(rows * 3 * channels);
  std::vector<float> x = values.normal(rows * channels);
  backend.text_attention_add({qkv.data(), rows, 3 * channels}, {offsets, heads, causal},
                             make_linear(backend, values, channels, channels), {x.data(), rows, channels});
  return x;
}

std::vector<float> feed_forward(Backend& backend, int64_t rows, int64_t channels, Activation activation) {
  Values values(8);
  std::vector<float> x = values.normal(rows * channels);
  FeedForward ff{make_norm(values, channels), make_linear(backend, values, channels, 4 * channels),
                 make_linear(backend, values, 4 * channels, channels), activation};
  // Wide enough inputs that both tails of the activation are met.
  for (float& b : ff.fc1.bias) b *= 50;
  backend.feed_forward_add(ff, {x.data(), rows, channels});
  return x;
}

std::vector<float> pooled(Backend& backend, int64_t batch, int64_t tokens, int64_t channels) {
  Values values(9);
  const std::vector<float> x = values.normal(batch * tokens * channels, 1, 0.3f);
  std::vector<float> y(batch * channels);
  backend.mean_tokens({x.data(), batch * tokens, channels}, {y.data(), batch, channels});
  backend.l2_normalise({y.data(), batch, channels});
  return y;
}

struct Case {
  std::string name;
  Operator run;
};

std::vector<Case> cases() {
  std::vector<Case> all;
  const auto add = [&](std::string name, Operator run) { all.push_back({std::move(name), std::move(run)}); };
  for (int64_t channels : {1, 3, 7, 8, 15, 16, 17, 31, 33, 256, 1000})
    for (int64_t rows : {1, 5, 33})
      add("layer_norm " + std::to_string(rows) + "x" + std::to_string(channels),
          [=](Backend& b) { return layer_norm(b, rows, channels); });
  for (const TokenGrid& grid : {TokenGrid{1, 1, 1}, {1, 1, 4}, {2, 3, 1}, {2, 2, 2}, {1, 5, 7}, {3, 8, 8}})
    for (int64_t channels : {1, 15, 16, 33})
      add("depthwise " + std::to_string(grid.height) + "x" + std::to_string(grid.width) + "x" +
              std::to_string(channels),
          [=](Backend& b) { return depthwise(b, grid, channels); });
  add("patch_conv 7/4/3", [](Backend& b) { return patch_conv(b, {2, 21, 30}, {3, 24, 7, 4, 3}); });
  add("patch_conv 3/2/1", [](Backend& b) { return patch_conv(b, {1, 9, 5}, {17, 32, 3, 2, 1}); });
  add("patch_conv smaller than its kernel", [](Backend& b) {
    return patch_conv(b, {1, 1, 2}, {4, 5, 3, 2, 1});
  });
  add("patch_conv 4/4/0", [](Backend& b) { return patch_conv(b, {1, 8, 12}, {3, 8, 4, 4, 0}); });
  for (int64_t rows : {1, 2, 31, 1201, 2500})
    add("norm_linear " + std::to_string(rows), [=](Backend& b) { return norm_linear(b, rows, 24, 40); });
  add("norm_linear odd", [](Backend& b) { return norm_linear(b, 7, 13, 11); });
  for (int64_t dim : {1, 8, 15, 32, 33}) {
    const std::string d = " d" + std::to_string(dim);
    add("window exact" + d, [=](Backend& b) { return window_attention(b, {2, 8, 4}, 2, dim, 4); });
    add("window padded" + d, [=](Backend& b) { return window_attention(b, {2, 7, 5}, 2, dim, 4); });
    add("window larger than the picture" + d, [=](Backend& b) {
      return window_attention(b, {1, 3, 2}, 2, dim, 12);
    });
    add("channel" + d, [=](Backend& b) { return channel_attention(b, {2, 5, 7}, 3, dim); });
    add("channel in several parts" + d, [=](Backend& b) {
      return channel_attention(b, {2, 30, 23}, 2, dim);
    });
    add("text" + d, [=](Backend& b) { return text_attention(b, {0, 3, 4, 13, 90}, 2, dim, false); });
    add("text causal" + d, [=](Backend& b) { return text_attention(b, {0, 3, 4, 13, 90}, 2, dim, true); });
  }
  add("channel with wide groups", [](Backend& b) { return channel_attention(b, {1, 9, 9}, 1, 300); });
  for (Activation activation : {Activation::gelu, Activation::quick_gelu}) {
    const std::string name = activation == Activation::gelu ? "gelu" : "quick_gelu";
    add("feed_forward " + name, [=](Backend& b) { return feed_forward(b, 1300, 24, activation); });
    add("feed_forward odd " + name, [=](Backend& b) { return feed_forward(b, 3, 7, activation); });
  }
  add("pooled", [](Backend& b) { return pooled(b, 3, 37, 19); });
  return all;
}

// Both sides round sums of at most a few hundred terms of order one, some of them through a softmax or a norm
// that multiplies the error by a few: 2e-6 of the largest value is about 30 units of float32 rounding (6e-8).
// bf16 rounds each operand of a product to 2^-9 relative; over a product of K independent terms the relative
// error stays near 2^-9 * sqrt(2), and the chain of two products in an operator doubles it: 2^-6 leaves a
// factor of two.
double tolerance(const Backend& backend) { return backend.weight_dtype() == DType::f32 ? 2e-6 : 0x1p-6; }

void expect_agreement(Backend& backend, const Case& test) {
  SCOPED_TRACE(test.name);
  const auto reference = make_reference_backend();
  const std::vector<float> expected = test.run(*reference);
  const std::vector<float> actual = test.run(backend);
  ASSERT_EQ(actual.size(), expected.size());
  double largest = 0, worst = 0;
  size_t where = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_FALSE(std::isnan(actual[i])) << "at " << i;
    largest = std::max(largest, std::abs(double{expected[i]}));
    const double difference = std::abs(double{actual[i]} - expected[i]);
    if (difference > worst) worst = difference, where = i;
  }
  EXPECT_LE(worst, tolerance(backend) * largest)
      << "element " << where << ": " << actual[where] << ", expected " << expected[where] << "; largest "
      << largest;
}

TEST(Operators, CpuAgreesWithTheReference) {
  const auto backend = make_cpu_backend(DType::f32);
  for (const Case& test : cases()) expect_agreement(*backend, test);
}

TEST(Operators, CpuInBf16AgreesWithTheReference) {
  if (!cpu_has_fast_bf16()) GTEST_SKIP() << "no bf16 instructions here";
  const auto backend = make_cpu_backend(DType::bf16);
  for (const Case& test : cases()) expect_agreement(*backend, test);
}

TEST(Operators, GiveTheSameBitsTwice) {
  const auto backend = make_cpu_backend(DType::f32);
  for (const Case& test : cases()) EXPECT_EQ(test.run(*backend), test.run(*backend)) << test.name;
}

}  // namespace
}  // namespace mii
