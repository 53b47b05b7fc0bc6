// Products of floats, and their weights as the fast kernels read them.

#include "backend/cpu/float_products.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numbers>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/panels.h"
#include "backend/cpu/team.h"
#include "backend/host_backend.h"

namespace mii {
namespace {

TEST(Panels, AreTransposedOneAfterAnother) {
  for (const int64_t units : {4, 12, 16, 20, 64})
    for (const int64_t columns : {4, 48, 64})
      for (const int64_t panels : {1, 3}) {
        const int64_t out = panels * columns;
        std::vector<uint32_t> values(static_cast<size_t>(out * units));
        for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<uint32_t>(i);
        std::vector<uint32_t> packed(values.size());
        pack_panels({values.data(), out, units}, columns, packed.data());
        for (int64_t o = 0; o < out; ++o)
          for (int64_t u = 0; u < units; ++u) {
            const int64_t place = (o / columns * units + u) * columns + o % columns;
            ASSERT_EQ(packed[static_cast<size_t>(place)], values[static_cast<size_t>(o * units + u)])
                << o << " " << u << " of " << out << " x " << units;
          }
      }
}

struct Shape2 {
  int64_t in;
  int64_t out;
};

// Products of [5, in] and weights of small whole numbers, stored at an address that is a multiple of the
// type's size and no more where `shifted`.
struct Stored {
  DType type;
  StoredMatrix::Layout layout;
  bool shifted = false;
};

void put(DType type, float value, std::byte* to) {
  const BFloat16 rounded = number_to_bfloat16(value);
  if (type == DType::f32)
    std::memcpy(to, &value, sizeof(value));
  else
    std::memcpy(to, &rounded, sizeof(rounded));
}

std::vector<float> products(const Shape2& shape, const Stored& stored) {
  constexpr int64_t kRows = 5;
  const size_t bytes = size_of(stored.type);
  const auto n = static_cast<size_t>(shape.in * shape.out);
  std::vector<std::byte> weights((n + 1) * bytes), a(static_cast<size_t>(kRows * shape.in) * bytes);
  std::byte* first = weights.data() + (stored.shifted ? bytes : 0);
  for (int64_t o = 0; o < shape.out; ++o)
    for (int64_t i = 0; i < shape.in; ++i) {
      const bool out_first = stored.layout == StoredMatrix::Layout::out_in;
      const int64_t place = out_first ? o * shape.in + i : i * shape.out + o;
      put(stored.type, static_cast<float>((o * 31 + i * 17) % 23 - 11),
          first + static_cast<size_t>(place) * bytes);
    }
  for (int64_t i = 0; i < kRows * shape.in; ++i)
    put(stored.type, static_cast<float>(i * 7 % 19 - 9), a.data() + static_cast<size_t>(i) * bytes);
  set_team(2);
  FloatProducts gemm(2);
  const bool out_first = stored.layout == StoredMatrix::Layout::out_in;
  const TensorView view{first, stored.type,
                        out_first ? Shape{shape.out, shape.in} : Shape{shape.in, shape.out}};
  const Linear linear{
      gemm.pack({.values = view, .layout = stored.layout, .scales = {}}), {}, shape.in, shape.out};
  std::vector<float> c(static_cast<size_t>(kRows * shape.out));
  gemm.multiply(a.data(), kRows, linear, {}, c.data());
  return c;
}

// Weights stored by inputs are put in order by oneDNN itself. Shapes of whole panels, and others.
TEST(Panels, WeightsStoredEitherWayGiveTheSameProducts) {
  using enum StoredMatrix::Layout;
  for (const Shape2& shape : {Shape2{64, 64},
                              {256, 192},
                              {32, 128},
                              {1024, 64},
                              {48, 64},
                              {100, 70},
                              {12, 36},
                              {64, 96},
                              {64, 512},
                              {32, 320},
                              {40, 600}})
    for (const DType type : {DType::f32, DType::bf16}) {
      if (type == DType::bf16 && !OneDnnPanels::has_fast_bf16()) continue;
      const std::vector<float> expected = products(shape, {type, in_out});
      EXPECT_EQ(products(shape, {type, out_in}), expected) << shape.in << " x " << shape.out;
      EXPECT_EQ(products(shape, {type, out_in, true}), expected) << shape.in << " x " << shape.out;
    }
}

int64_t weight_at(int64_t o, int64_t i) { return (o * 31 + i * 17) % 23 - 11; }
int64_t operand_at(int64_t r, int64_t i) { return (r * 13 + i * 7) % 19 - 9; }
float bias_at(int64_t o) { return static_cast<float>(o % 5); }

int64_t plain_product(int64_t r, int64_t o, int64_t in) {
  int64_t sum = 0;
  for (int64_t i = 0; i < in; ++i) sum += operand_at(r, i) * weight_at(o, i);
  return sum;
}

struct Sizes {
  int64_t rows, in, out;
};

// A linear layer of whole numbers and a left operand for it.
struct Layer {
  Layer(FloatProducts& products, DType type, const Sizes& s)
      : a(static_cast<size_t>(s.rows * s.in) * size_of(type)) {
    const auto n = static_cast<size_t>(s.in * s.out);
    std::vector<std::byte> weights(n * size_of(type));
    for (size_t w = 0; w < n; ++w) {
      const auto place = static_cast<int64_t>(w);
      put(type, static_cast<float>(weight_at(place / s.in, place % s.in)),
          weights.data() + w * size_of(type));
    }
    for (int64_t r = 0; r < s.rows; ++r)
      for (int64_t i = 0; i < s.in; ++i)
        put(type, static_cast<float>(operand_at(r, i)),
            a.data() + static_cast<size_t>(r * s.in + i) * size_of(type));
    auto storage = std::make_unique<HostStorage>(s.out);
    for (int64_t o = 0; o < s.out; ++o) storage->data()[o] = bias_at(o);
    linear.weight = products.pack({.values = {weights.data(), type, {s.out, s.in}}, .scales = {}});
    linear.bias = {std::move(storage), s.out};
    linear.in = s.in;
    linear.out = s.out;
  }

  std::vector<std::byte> a;
  Linear linear;
};

// Small whole numbers: every sum is exact, in bf16 too. Several blocks of rows and panels of columns, whole
// and not.
TEST(FloatProducts, EqualThePlainLoops) {
  set_team(2);
  FloatProducts products(2);
  for (const Sizes& s :
       {Sizes{1, 8, 5}, {31, 64, 256}, {300, 24, 300}, {520, 40, 520}, {1100, 16, 48}, {3, 96, 1030}})
    for (const DType type : {DType::f32, DType::bf16}) {
      if (type == DType::bf16 && !OneDnnPanels::has_fast_bf16()) continue;
      Layer layer(products, type, s);
      std::vector<float> stored(static_cast<size_t>(s.rows * s.out), -1.0f), added = stored;
      products.multiply(layer.a.data(), s.rows, layer.linear, {}, stored.data());
      products.multiply(layer.a.data(), s.rows, layer.linear, {.accumulate = true}, added.data());
      std::vector<float> active(stored.size());
      const size_t row_bytes = static_cast<size_t>(s.in) * size_of(type);
      const auto fill = [&](int64_t first, int64_t rows, void* to) {
        std::memcpy(to, layer.a.data() + static_cast<size_t>(first) * row_bytes,
                    static_cast<size_t>(rows) * row_bytes);
      };
      std::vector<float> filled(stored.size());
      products.multiply(fill, s.rows, layer.linear, {}, filled.data());
      ASSERT_EQ(filled, stored);
      products.multiply_and_activate(fill, s.rows, layer.linear, Activation::gelu, active.data());
      for (int64_t r = 0; r < s.rows; ++r)
        for (int64_t o = 0; o < s.out; ++o) {
          const auto i = static_cast<size_t>(r * s.out + o);
          const float expected = static_cast<float>(plain_product(r, o, s.in)) + bias_at(o);
          ASSERT_EQ(stored[i], expected)
              << s.rows << " x " << s.in << " x " << s.out << " at " << r << ", " << o;
          ASSERT_EQ(added[i], expected - 1.0f);
          const double x = expected;
          ASSERT_NEAR(active[i], x * (1 + std::erf(x / std::numbers::sqrt2)) / 2, 1e-6 * std::abs(x) + 1e-7);
        }
    }
}

}  // namespace
}  // namespace mii
