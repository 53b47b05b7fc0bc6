// Every operator of every backend, in every precision that it offers here, against the plain loops of the
// reference, over sizes around the vector width. The device's kernels are among them twice: on a device,
// where one is, and as loops on the host.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <random>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "backend/cuda/block.h"
#include "backend/cuda/cuda_backend.h"
#include "backend/precision.h"
#include "backend/registry.h"
#include "core/aligned_buffer.h"
#include "core/int8_matrix.h"
#include "tested_backends.h"

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

// A matrix in a backend's memory.
class OnBackend {
 public:
  OnBackend(Backend& backend, int64_t rows, int64_t cols)
      : backend_(backend), buffer_(backend), rows_(buffer_.take(rows, cols)) {}
  OnBackend(Backend& backend, const std::vector<float>& values, int64_t rows)
      : OnBackend(backend, rows, static_cast<int64_t>(values.size()) / rows) {
    backend.upload(values, rows_);
  }

  operator Rows() const { return rows_; }       // NOLINT: it is one
  operator ConstRows() const { return rows_; }  // NOLINT
  std::vector<float> values() const {
    std::vector<float> values(static_cast<size_t>(rows_.elements()));
    backend_.download(rows_, values);
    return values;
  }

 private:
  Backend& backend_;
  Buffer buffer_;
  Rows rows_;
};

// One operator on made-up operands: builds its weights for a backend from the seed alone, returns its result.
using Operator = std::function<std::vector<float>(Backend&)>;

Linear make_linear(Backend& backend, Values& values, int64_t in, int64_t out, float bias_factor = 1) {
  const std::vector<float> weight = values.normal(in * out, 1 / std::sqrt(static_cast<float>(in)));
  std::vector<float> bias = values.normal(out, 0.1f);
  for (float& b : bias) b *= bias_factor;
  const DType dtype = info_of(backend.precision()).weights;
  if (dtype == DType::i8) {
    const Int8Matrix bytes = quantise_matrix(weight.data(), out, in);
    return {
        backend.pack({.values = {reinterpret_cast<const std::byte*>(bytes.values.data()), dtype, {out, in}},
                      .scales = bytes.scales}),
        backend.store(bias), in, out};
  }
  AlignedBuffer<std::byte> stored(weight.size() * size_of(dtype));
  for (size_t i = 0; i < weight.size(); ++i) {
    switch (dtype) {
      case DType::f32:
        reinterpret_cast<float*>(stored.data())[i] = weight[i];
        break;
      case DType::bf16:
        reinterpret_cast<BFloat16*>(stored.data())[i] = to_bfloat16(weight[i]);
        break;
      case DType::f16:
        reinterpret_cast<Float16*>(stored.data())[i] = to_float16(weight[i]);
        break;
      default:
        throw std::logic_error(std::string("no test weights of ") + to_string(dtype));
    }
  }
  return {backend.pack({.values = {stored.data(), dtype, {out, in}}}), backend.store(bias), in, out};
}

LayerNorm make_norm(Backend& backend, Values& values, int64_t channels) {
  LayerNorm norm;
  norm.weight = backend.store(values.normal(channels, 0.2f, 1));
  norm.bias = backend.store(values.normal(channels, 0.1f));
  norm.epsilon = 1e-5f;
  return norm;
}

std::vector<float> layer_norm(Backend& backend, int64_t rows, int64_t channels) {
  Values values(1);
  const OnBackend x(backend, values.normal(rows * channels, 2, 0.5f), rows), y(backend, rows, channels);
  backend.layer_norm(x, make_norm(backend, values, channels), y);
  return y.values();
}

std::vector<float> depthwise(Backend& backend, const TokenGrid& grid, int64_t channels) {
  Values values(2);
  const OnBackend x(backend, values.normal(grid.rows() * channels), grid.rows());
  const OnBackend y(backend, grid.rows(), channels);
  DepthwiseConv conv;
  conv.weight = backend.store(values.normal(9 * channels, 0.3f));
  conv.bias = backend.store(values.normal(channels));
  backend.depthwise_conv_add(x, grid, conv, y);
  return y.values();
}

struct PatchShape {
  int64_t in, out, size, stride, padding;
};
std::vector<float> patch_conv(Backend& backend, const TokenGrid& grid, const PatchShape& s) {
  Values values(3);
  const OnBackend x(backend, values.normal(grid.rows() * s.in), grid.rows());
  const PatchConv conv{make_linear(backend, values, s.size * s.size * s.in, s.out), s.size, s.stride,
                       s.padding};
  const int64_t rows = grid.batch * patches_along(grid.height, conv) * patches_along(grid.width, conv);
  const OnBackend y(backend, rows, s.out);
  backend.patch_conv(x, grid, conv, y);
  return y.values();
}

std::vector<float> norm_linear(Backend& backend, int64_t rows, int64_t in, int64_t out) {
  Values values(4);
  const OnBackend x(backend, values.normal(rows * in), rows), y(backend, rows, out);
  const LayerNorm norm = make_norm(backend, values, in);
  backend.norm_linear(x, norm, make_linear(backend, values, in, out), y);
  return y.values();
}

std::vector<float> window_attention(Backend& backend, const TokenGrid& grid, int64_t heads, int64_t dim,
                                    int64_t window) {
  Values values(5);
  const int64_t channels = heads * dim;
  const OnBackend qkv(backend, values.normal(grid.rows() * 3 * channels), grid.rows());
  const Vector padding = backend.store(values.normal(3 * channels));
  const OnBackend x(backend, values.normal(grid.rows() * channels), grid.rows());
  backend.window_attention_add(qkv, {grid, heads, window, padding.as_row()},
                               make_linear(backend, values, channels, channels), x);
  return x.values();
}

std::vector<float> channel_attention(Backend& backend, const TokenGrid& grid, int64_t groups, int64_t dim) {
  Values values(6);
  const int64_t channels = groups * dim;
  const OnBackend qkv(backend, values.normal(grid.rows() * 3 * channels), grid.rows());
  const OnBackend x(backend, values.normal(grid.rows() * channels), grid.rows());
  const float scale = 1 / std::sqrt(static_cast<float>(grid.tokens()));
  backend.channel_attention_add(qkv, {grid, groups, scale}, make_linear(backend, values, channels, channels),
                                x);
  return x.values();
}

std::vector<float> text_attention(Backend& backend, const std::vector<int64_t>& offsets, int64_t heads,
                                  int64_t dim, bool causal) {
  Values values(7);
  const int64_t channels = heads * dim;
  const int64_t rows = offsets.back();
  const OnBackend qkv(backend, values.normal(rows * 3 * channels), rows);
  const OnBackend x(backend, values.normal(rows * channels), rows);
  backend.text_attention_add(qkv, {offsets, heads, causal}, make_linear(backend, values, channels, channels),
                             x);
  return x.values();
}

// Queries in rows that are wider than they, keys in rows behind something else, some seen by several queries
// and in any order.
std::vector<float> key_attention(Backend& backend, int64_t queries, int64_t keys, int64_t heads,
                                 int64_t dim) {
  Values values(12);
  const int64_t channels = heads * dim;
  const OnBackend q(backend, values.normal(queries * (channels + 3)), queries);
  const OnBackend kv(backend, values.normal(keys * 3 * channels), keys);
  const OnBackend x(backend, values.normal(queries * channels), queries);
  std::vector<int64_t> offsets{0}, rows;
  for (int64_t r = 0; r < queries; ++r) {
    for (int64_t j = 0; j <= r * (keys - 1) / std::max<int64_t>(queries - 1, 1); ++j)
      rows.push_back((j * 7 + r) % keys);
    offsets.push_back(static_cast<int64_t>(rows.size()));
  }
  backend.key_attention_add(q, kv, {offsets, rows, heads}, make_linear(backend, values, channels, channels),
                            x);
  return x.values();
}

std::vector<float> feed_forward(Backend& backend, int64_t rows, int64_t channels, Activation activation) {
  Values values(8);
  const OnBackend x(backend, values.normal(rows * channels), rows);
  FeedForward ff;
  ff.norm = make_norm(backend, values, channels);
  // Wide enough inputs that both tails of the activation are met.
  ff.fc1 = make_linear(backend, values, channels, 4 * channels, 50);
  ff.fc2 = make_linear(backend, values, 4 * channels, channels);
  ff.activation = activation;
  backend.feed_forward_add(ff, x);
  return x.values();
}

std::vector<float> pooled(Backend& backend, int64_t batch, int64_t tokens, int64_t channels) {
  Values values(9);
  const OnBackend x(backend, values.normal(batch * tokens * channels, 1, 0.3f), batch * tokens);
  const OnBackend y(backend, batch, channels);
  backend.mean_tokens(x, y);
  backend.l2_normalise(y);
  return y.values();
}

constexpr PixelScale kImageNet{{0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}};

std::vector<uint8_t> made_up_bytes(int64_t n) {
  std::vector<uint8_t> bytes(static_cast<size_t>(n));
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * 97 / 3);
  return bytes;
}

// Of images of one size, one after another.
std::vector<float> scale_pixels(Backend& backend, const std::vector<uint8_t>& rgb, size_t images) {
  const OnBackend y(backend, static_cast<int64_t>(rgb.size()) / 3, 3);
  std::vector<ImageBytes> bytes;
  const size_t each = rgb.size() / images;
  for (size_t i = 0; i < images; ++i) bytes.push_back({std::span(rgb).subspan(i * each, each)});
  backend.scale_pixels(*backend.send_images(bytes), kImageNet, y);
  return y.values();
}

RowTable table_of(const std::vector<float>& values, int64_t cols) {
  return {static_cast<int64_t>(values.size()) / cols, cols,
          [&values, cols](int64_t row, float* to) { std::copy_n(values.data() + row * cols, cols, to); }};
}

std::vector<float> embed_tokens(Backend& backend, int64_t channels) {
  constexpr int64_t kVocabulary = 11, kContext = 5;
  const std::vector<int32_t> ids{10, 0, 3, 3, 7, 10}, places{0, 1, 2, 0, 1, 4};
  Values values(10);
  const std::vector<float> table = values.normal(kVocabulary * channels);
  TokenEmbedding embedding;
  embedding.tokens = backend.pack_table(table_of(table, channels));
  embedding.places = backend.store(values.normal(kContext * channels));
  const OnBackend y(backend, static_cast<int64_t>(ids.size()), channels);
  backend.embed_tokens(ids, places, embedding, y);
  return y.values();
}

// q|k|v as norm_qkv leaves them, which may be narrower than float32, then one of the attentions.
std::vector<float> norm_then_attention(Backend& backend, const TokenGrid& grid, bool windows) {
  constexpr int64_t kHeads = 2, kDim = 16, kChannels = kHeads * kDim;
  Values values(11);
  const OnBackend x(backend, values.normal(grid.rows() * kChannels), grid.rows());
  const OnBackend qkv(backend, grid.rows(), 3 * kChannels);
  const LayerNorm norm = make_norm(backend, values, kChannels);
  const Linear in = make_linear(backend, values, kChannels, 3 * kChannels);
  const Linear proj = make_linear(backend, values, kChannels, kChannels);
  backend.norm_qkv(x, norm, in, qkv);
  if (windows)
    backend.window_attention_add(qkv, {grid, kHeads, 4, in.bias.as_row()}, proj, x);
  else
    backend.channel_attention_add(qkv, {grid, kHeads, 0.1f}, proj, x);
  return x.values();
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
    add("window larger than the grid" + d, [=](Backend& b) {
      return window_attention(b, {1, 3, 2}, 2, dim, 12);
    });
    add("channel" + d, [=](Backend& b) { return channel_attention(b, {2, 5, 7}, 3, dim); });
    add("channel in several parts" + d, [=](Backend& b) {
      return channel_attention(b, {2, 30, 23}, 2, dim);
    });
    add("text" + d, [=](Backend& b) { return text_attention(b, {0, 3, 4, 13, 90}, 2, dim, false); });
    add("keys" + d, [=](Backend& b) { return key_attention(b, 9, 90, 2, dim); });
    add("text causal" + d, [=](Backend& b) { return text_attention(b, {0, 3, 4, 13, 90}, 2, dim, true); });
  }
  for (const bool windows : {true, false})
    add(windows ? "norm, then window" : "norm, then channel", [=](Backend& b) {
      return norm_then_attention(b, {2, 6, 5}, windows);
    });
  add("one key", [](Backend& b) { return key_attention(b, 1, 1, 3, 16); });
  add("window of 144 tokens", [](Backend& b) { return window_attention(b, {1, 15, 12}, 2, 32, 12); });
  add("channel with wide groups", [](Backend& b) { return channel_attention(b, {1, 9, 9}, 1, 300); });
  for (Activation activation : {Activation::gelu, Activation::quick_gelu}) {
    const std::string name = activation == Activation::gelu ? "gelu" : "quick_gelu";
    add("feed_forward " + name, [=](Backend& b) { return feed_forward(b, 1300, 24, activation); });
    add("feed_forward odd " + name, [=](Backend& b) { return feed_forward(b, 3, 7, activation); });
  }
  for (int64_t pixels : {1, 7, 5000})
    for (const size_t images : {1, 3})
      add("pixels " + std::to_string(pixels) + " of " + std::to_string(images), [=](Backend& b) {
        return scale_pixels(b, made_up_bytes(3 * pixels * static_cast<int64_t>(images)), images);
      });
  for (int64_t channels : {1, 17})
    add("tokens " + std::to_string(channels), [=](Backend& b) { return embed_tokens(b, channels); });
  add("pooled", [](Backend& b) { return pooled(b, 3, 37, 19); });
  return all;
}

// Both sides round sums of at most a few hundred terms of order one, some of them through a softmax or a norm
// that multiplies the error by a few: of the largest value 2e-6 is about 30 units of float32 rounding (6e-8).
constexpr double kFloatTolerance = 2e-6;

// u is the largest relative error of a rounded operand. Errors are spread evenly up to it: u / sqrt(3) in the
// mean square, and 0.82 u for a term of a sum, which has two operands. The terms are independent, so that the
// sum's error is as much of its own mean square. The largest of a thousand results is three times their mean
// square, the largest of their errors four times the errors': 1.1 u of the largest result after one product,
// 1.6 u after two. 4 u leaves room for the activation or the softmax between them, and for small sizes.
// int8's u is of the largest of a row, three times its mean square: 3.3 u after one product and 4.6 u after
// two, 8 u with that room.
double tolerance(const Backend& backend) {
  const double roundings = backend.precision() == Precision::int8 ? 8 : 4;
  return std::max(kFloatTolerance, roundings * info_of(backend.precision()).operand_rounding);
}

struct Difference {
  double largest = 0;  // of the expected values
  double worst = 0;
  size_t where = 0;
  double far = 0;  // the share of the values that differ by more than float32 rounds
};

Difference difference(const std::vector<float>& actual, const std::vector<float>& expected) {
  Difference d;
  for (const float v : expected) d.largest = std::max(d.largest, std::abs(double{v}));
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_FALSE(std::isnan(actual[i])) << "at " << i;
    const double error = std::abs(double{actual[i]} - expected[i]);
    if (error > d.worst) d.worst = error, d.where = i;
    if (error > kFloatTolerance * d.largest) d.far += 1.0 / static_cast<double>(expected.size());
  }
  return d;
}

void expect_agreement(Backend& backend, const Case& test) {
  SCOPED_TRACE(test.name);
  const std::vector<float> expected = test.run(*find_backend("reference").make({}));
  const std::vector<float> actual = test.run(backend);
  ASSERT_EQ(actual.size(), expected.size());
  const Difference d = difference(actual, expected);
  EXPECT_LE(d.worst, tolerance(backend) * d.largest)
      << "element " << d.where << ": " << actual[d.where] << ", expected " << expected[d.where]
      << "; largest " << d.largest;
}

class Operators : public testing::TestWithParam<std::tuple<std::string, Precision>> {
 protected:
  void SetUp() override {
    const auto [name, precision] = GetParam();
    const BackendEntry entry = tested_backend(name);
    if (!entry.available()) GTEST_SKIP() << name << " cannot run here: " << entry.obstacle();
    if (!std::ranges::count(entry.precisions(), precision))
      GTEST_SKIP() << name << " does not offer " << to_string(precision) << " here";
    backend_ = entry.make({.precision = precision});
    backend_->attach_thread();
  }

  std::unique_ptr<Backend> backend_;
};

TEST_P(Operators, AgreeWithTheReference) {
  for (const Case& test : cases()) expect_agreement(*backend_, test);
}

// In int8 the reference rounds to bytes too, and sums of products of bytes are exact: results differ by what
// float32 rounds outside of the products. But an operand that lies that near to a tie between two bytes may
// get the other one, and then its row's results differ by a step of it, 2 u. Near is 2e-7 of a row's largest,
// 5e-5 of a step, to both sides: one operand in 10000, and of rows of 300 operands at the most 3 in 100.
TEST(Int8Operators, ComputeWithTheBytesOfTheReference) {
  const auto reference = find_backend("reference").make({.precision = Precision::int8});
  for (const BackendEntry& entry : tested_backends()) {
    if (entry.name == "reference" || !entry.available() ||
        !std::ranges::count(entry.precisions(), Precision::int8))
      continue;
    const auto backend = entry.make({.precision = Precision::int8});
    backend->attach_thread();
    double far = 0, all = 0;
    for (const Case& test : cases()) {
      const std::vector<float> expected = test.run(*reference);
      const Difference d = difference(test.run(*backend), expected);
      EXPECT_LE(d.worst, 2 * info_of(Precision::int8).operand_rounding * d.largest) << test.name;
      far += d.far * static_cast<double>(expected.size());
      all += static_cast<double>(expected.size());
    }
    EXPECT_LE(far, 0.03 * all) << entry.name;
  }
}

// No norm or softmax comes before the bytes here, so that all of them are the reference's. What is left are
// the roundings of the sum, of the factor on it, and of the result, on both sides: 4 of 2^-24.
TEST(Int8Operators, APatchConvolutionHasAllOfTheReferencesBytes) {
  const auto reference = find_backend("reference").make({.precision = Precision::int8});
  for (const BackendEntry& entry : tested_backends()) {
    if (!entry.available() || !std::ranges::count(entry.precisions(), Precision::int8)) continue;
    const auto backend = entry.make({.precision = Precision::int8});
    backend->attach_thread();
    for (const PatchShape& shape : {PatchShape{3, 24, 7, 4, 3}, {17, 32, 3, 2, 1}, {64, 300, 3, 2, 1}}) {
      const auto run = [&](Backend& b) { return patch_conv(b, {2, 21, 30}, shape); };
      const Difference d = difference(run(*backend), run(*reference));
      EXPECT_LE(d.worst, 4 * 0x1p-24 * d.largest) << entry.name << " " << shape.in << " to " << shape.out;
    }
  }
}

TEST_P(Operators, GiveTheSameBitsTwice) {
  for (const Case& test : cases()) EXPECT_EQ(test.run(*backend_), test.run(*backend_)) << test.name;
}

// Threads of a device go through a loop's rounds in any order: a kernel whose rounds need each other's
// results gives other numbers backwards.
TEST(DeviceKernels, GiveTheSameBitsInTheOppositeOrder) {
  for (const Precision precision : cuda::device_backend().precisions()) {
    const auto backend = cuda::device_backend().make({.precision = precision});
    for (const Case& test : cases()) {
      const std::vector<float> forwards = test.run(*backend);
      cuda::backwards = true;
      const std::vector<float> backwards = test.run(*backend);
      cuda::backwards = false;
      EXPECT_EQ(forwards, backwards) << test.name;
    }
  }
}

// torchvision 0.14: normalize(to_tensor(x), ...) of the bytes 0 and 255 in the red channel. Not what a fused
// multiply-add gives.
TEST_P(Operators, ScalePixelsInTorchvisionsOrder) {
  std::vector<uint8_t> rgb(256 * 3);
  for (size_t i = 0; i < rgb.size(); ++i) rgb[i] = static_cast<uint8_t>(i / 3);
  const std::vector<float> values = scale_pixels(*backend_, rgb, 1);
  for (size_t i = 0; i < rgb.size(); ++i) {
    const float scaled = static_cast<float>(rgb[i]) / 255.0f;
    const float centred = scaled - kImageNet.mean[i % 3];
    EXPECT_EQ(values[i], centred / kImageNet.std[i % 3]);
  }
  EXPECT_EQ(values[0], -2.1179039478302f);
  EXPECT_FLOAT_EQ(values[255 * 3], 2.2489083f);
}

// Weights of both signs, that clip at both ends.
std::shared_ptr<const ResizeAxis> made_up_axis(int64_t in, int64_t out) {
  if (in == out) return nullptr;
  auto axis = std::make_shared<ResizeAxis>(ResizeAxis{in, out, std::min<int64_t>(in, 5), {}, {}});
  for (int64_t o = 0; o < out; ++o) {
    axis->first.push_back(static_cast<int32_t>(o * (in - 1) / out));
    for (int64_t t = 0; t < axis->taps; ++t)
      axis->weights.push_back(static_cast<int32_t>((o * 7 + t * 5) % 9 - 3) << (ResizeAxis::kWeightBits - 3));
  }
  return axis;
}

// One side, as ResizeAxis says: bytes [lines, in, inner] become [lines, out, inner].
std::vector<uint8_t> resized(const std::vector<uint8_t>& x, const ResizeAxis* axis, size_t inner) {
  if (axis == nullptr) return x;
  std::vector<uint8_t> y;
  const auto in = static_cast<size_t>(axis->in), out = static_cast<size_t>(axis->out);
  for (size_t line = 0; line < x.size() / in / inner; ++line)
    for (size_t o = 0; o < out; ++o)
      for (size_t c = 0; c < inner; ++c) {
        int64_t sum = int64_t{1} << (ResizeAxis::kWeightBits - 1);
        for (size_t t = 0; t < static_cast<size_t>(axis->taps); ++t) {
          const size_t sample = static_cast<size_t>(axis->first[o]) + t;
          if (sample < in)
            sum += int64_t{axis->weights[o * static_cast<size_t>(axis->taps) + t]} *
                   x[(line * in + sample) * inner + c];
        }
        y.push_back(static_cast<uint8_t>(std::clamp<int64_t>(sum >> ResizeAxis::kWeightBits, 0, 255)));
      }
  return y;
}

// Images of many sizes in one batch, each to 6 x 5 pixels.
TEST_P(Operators, ResizeAcrossThenDownInIntegers) {
  if (!backend_->resizes()) GTEST_SKIP() << "images are resized on the host";
  constexpr int64_t kWidth = 6, kHeight = 5;
  std::vector<std::vector<uint8_t>> images;
  std::vector<ImageBytes> bytes;
  std::vector<uint8_t> expected;
  for (const auto& [width, height] :
       {std::pair<int64_t, int64_t>{6, 5}, {1, 1}, {13, 5}, {6, 31}, {2, 40}, {300, 3}, {13, 5}}) {
    images.push_back(made_up_bytes(3 * width * height));
    const ImageBytes image{{}, made_up_axis(width, kWidth), made_up_axis(height, kHeight)};
    const auto narrowed = resized(images.back(), image.across.get(), 3);
    std::ranges::copy(resized(narrowed, image.down.get(), 3 * kWidth), std::back_inserter(expected));
    bytes.push_back(image);
  }
  for (size_t i = 0; i < images.size(); ++i) bytes[i].rgb = images[i];
  const auto pixels = static_cast<int64_t>(images.size()) * kWidth * kHeight;
  const OnBackend y(*backend_, pixels, 3);
  for (const bool backwards : {false, true}) {
    cuda::backwards = backwards;
    backend_->scale_pixels(*backend_->send_images(bytes), {{0, 0, 0}, {1, 1, 1}}, y);
    cuda::backwards = false;
    const std::vector<float> values = y.values();
    ASSERT_EQ(values.size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i)
      ASSERT_EQ(values[i], static_cast<float>(expected[i]) / 255.0f) << i;
  }
}

TEST_P(Operators, GatherRowsByTheirNumbers) {
  const OnBackend x(*backend_, {0, 1, 10, 11, 20, 21, 30, 31}, 4), y(*backend_, 3, 2);
  backend_->gather_rows(x, std::vector<int64_t>{3, 0, 0}, y);
  EXPECT_EQ(y.values(), (std::vector<float>{30, 31, 0, 1, 0, 1}));
}

TEST_P(Operators, EmbedTokensByIdAndPlace) {
  const std::vector<float> table{1, 2, -3, 4};
  TokenEmbedding embedding;
  embedding.tokens = backend_->pack_table(table_of(table, 2));
  embedding.places = backend_->store(std::vector<float>{0.25f, 0.5f, 100, 200, 1000, 2000});
  const OnBackend y(*backend_, 3, 2);
  backend_->embed_tokens(std::vector<int32_t>{1, 0, 1}, std::vector<int32_t>{0, 2, 1}, embedding, y);
  EXPECT_EQ(y.values(), (std::vector<float>{-2.75f, 4.5f, 1001, 2002, 97, 204}));
}

INSTANTIATE_TEST_SUITE_P(Backends, Operators,
                         testing::Combine(testing::ValuesIn(names_of_tested_backends()),
                                          testing::ValuesIn(all_precisions())),
                         [](const auto& test) {
                           return std::get<0>(test.param) + "_" + to_string(std::get<1>(test.param));
                         });

}  // namespace
}  // namespace mii
