// The integers of int8: the fast kernels' equal those of the plain loops to the last bit.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "backend/cpu/onednn.h"
#include "backend/cpu/vector_kernels.h"
#include "backend/reference/plain_bytes.h"

namespace mii {
namespace {

void expect_plain(const std::vector<float>& x) {
  const PlainBytes expected = plain_quantise(x.data(), static_cast<int64_t>(x.size()));
  std::vector<uint8_t> values(x.size());
  const ByteRow row = quantise_row(x.data(), x.size(), values.data());
  EXPECT_EQ(row.scale, expected.scale) << x.size();
  EXPECT_EQ(row.zero, expected.zero) << x.size();
  EXPECT_EQ(values, expected.values) << x.size();
}

TEST(QuantiseRow, GivesTheIntegersOfThePlainLoop) {
  std::mt19937 engine(7);
  std::normal_distribution<float> normal;
  for (const size_t n : {1, 2, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 1000})
    for (const float mean : {0.0f, 3.0f, -40.0f}) {
      std::vector<float> x(n);
      for (float& v : x) v = mean + normal(engine);
      expect_plain(x);
      for (float& v : x) v = std::max(v, -0.17f);  // as after GELU
      expect_plain(x);
      x[n / 2] = 1e4f;  // an outlier
      expect_plain(x);
    }
}

// Every tie between two steps: x = (k + 1/2) of 255 steps.
TEST(QuantiseRow, RoundsTiesToEven) {
  std::vector<float> x{0, 255};
  for (int k = 0; k < 255; ++k) x.push_back(static_cast<float>(k) + 0.5f);
  expect_plain(x);
  std::vector<uint8_t> values(x.size());
  quantise_row(x.data(), x.size(), values.data());
  EXPECT_EQ(values[2], 0);
  EXPECT_EQ(values[3], 2);
}

TEST(QuantiseRow, KeepsZerosAndWhatIsTooSmall) {
  expect_plain(std::vector<float>(33, 0.0f));
  expect_plain(std::vector<float>(5, -0.0f));
  expect_plain({1e-40f, -1e-40f, 1e-44f});
}

TEST(QuantiseRow, IsAccurateToHalfAStep) {
  std::mt19937 engine(9);
  std::normal_distribution<float> normal(0.3f, 2);
  std::vector<float> x(500);
  for (float& v : x) v = normal(engine);
  std::vector<uint8_t> values(x.size());
  const ByteRow row = quantise_row(x.data(), x.size(), values.data());
  for (size_t i = 0; i < x.size(); ++i)
    // One end of the range is off by up to half a step more: the zero is a whole number.
    EXPECT_NEAR(row.scale * static_cast<float>(values[i] - row.zero), x[i], 1.001f * row.scale) << i;
}

TEST(QuantiseRow, WhatIsNotFiniteDoesNotBecomeANumber) {
  std::vector<uint8_t> values(40);
  for (const float bad : {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()}) {
    std::vector<float> x(40, 1.0f);
    x[17] = bad;
    EXPECT_TRUE(std::isnan(quantise_row(x.data(), x.size(), values.data()).scale)) << bad;
  }
  const std::vector<float> nothing(40, std::numeric_limits<float>::quiet_NaN());
  EXPECT_TRUE(std::isnan(quantise_row(nothing.data(), nothing.size(), values.data()).scale));
}

struct Sizes {
  int64_t rows, in, columns;
};

// The extremes are among the values: where products of bytes saturate, this fails.
TEST(ByteProducts, SumsEqualThePlainLoops) {
  if (!OneDnnPanels::has_fast_bytes()) GTEST_SKIP() << "int8 is not offered here";
  std::mt19937 engine(11);
  OneDnnPanels gemm(1);
  for (const Sizes& s : {Sizes{1, 1, 1},
                         {3, 7, 5},
                         {5, 13, 11},
                         {33, 24, 40},
                         {64, 64, 256},
                         {2, 4096, 17},
                         {64, 1024, 256}}) {
    std::vector<PlainBytes> rows(static_cast<size_t>(s.rows));
    std::vector<uint8_t> a;
    for (PlainBytes& row : rows) {
      row.values.resize(static_cast<size_t>(s.in));
      for (uint8_t& v : row.values) v = engine() % 3 == 0 ? 255 : static_cast<uint8_t>(engine());
      a.insert(a.end(), row.values.begin(), row.values.end());
    }
    std::vector<int8_t> weights(static_cast<size_t>(s.columns * s.in));
    for (int8_t& w : weights)
      w = engine() % 3 == 0 ? int8_t{127} : static_cast<int8_t>(static_cast<int>(engine() % 255) - 127);
    const PanelMatrix packed = gemm.pack(
        {.values = {reinterpret_cast<const std::byte*>(weights.data()), DType::i8, {s.columns, s.in}}});
    ASSERT_EQ(packed.panels.size(), 1U);
    const auto kernel = gemm.kernel(DType::i8, s.rows, s.in, s.columns);
    std::vector<std::byte> scratch(OneDnnPanels::scratch(*kernel) + 64);
    std::vector<int32_t> sums(static_cast<size_t>(s.rows * s.columns));
    gemm.multiply(*kernel, a.data(), packed.panels[0], scratch.data(), sums.data());
    for (int64_t r = 0; r < s.rows; ++r)
      for (int64_t c = 0; c < s.columns; ++c)
        ASSERT_EQ(sums[static_cast<size_t>(r * s.columns + c)],
                  plain_product(rows[static_cast<size_t>(r)], weights.data() + c * s.in, s.in))
            << s.rows << " x " << s.in << " x " << s.columns << " at " << r << ", " << c;
  }
}

// Exact numbers: sums below 2^24 and factors that are powers of two.
TEST(ByteSums, ScaleShiftAndBiasAreApplied) {
  for (const size_t columns : {1, 5, 16, 33}) {
    std::vector<int32_t> sums(2 * columns), weight_sums(columns);
    std::vector<float> scales(columns), bias(columns), y(2 * columns, 100.0f);
    for (size_t c = 0; c < columns; ++c) {
      sums[c] = static_cast<int32_t>(1000 * c) - 3000;
      sums[columns + c] = 7;
      weight_sums[c] = static_cast<int32_t>(c) - 2;
      scales[c] = c % 2 == 0 ? 0.5f : 0.25f;
      bias[c] = static_cast<float>(c);
    }
    const ByteRow rows[] = {{0.125f, 3}, {2.0f, 255}};
    const ByteSums block{sums.data(), 2, columns, rows, scales.data(), weight_sums.data(), bias.data()};
    const auto value = [&](size_t r, size_t c) {
      return rows[r].scale * scales[c] *
                 static_cast<float>(sums[r * columns + c] - rows[r].zero * weight_sums[c]) +
             bias[c];
    };
    add_byte_sums(block, y.data(), columns);
    for (size_t i = 0; i < y.size(); ++i) EXPECT_EQ(y[i], 100 + value(i / columns, i % columns)) << i;
    store_byte_sums(block, y.data(), columns);
    for (size_t i = 0; i < y.size(); ++i) EXPECT_EQ(y[i], value(i / columns, i % columns)) << i;
  }
}

}  // namespace
}  // namespace mii
