#include "core/int8_matrix.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace mii {
namespace {

TEST(Int8Matrix, NoValueIsFurtherOffThanHalfAStepOfItsRow) {
  std::mt19937 engine(1);
  std::normal_distribution<float> normal;
  constexpr int64_t kRows = 37, kCols = 113;
  std::vector<float> values(kRows * kCols), back(values.size());
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = normal(engine) * std::pow(10.0f, static_cast<float>(i / kCols % 9) - 4);
  const Int8Matrix matrix = quantise_matrix(values.data(), kRows, kCols);
  dequantise_matrix(matrix.values.data(), matrix.scales.data(), kRows, kCols, back.data());
  for (size_t i = 0; i < values.size(); ++i)
    EXPECT_LE(std::abs(values[i] - back[i]), matrix.scales[i / kCols] * 0.50001f) << i;
}

TEST(Int8Matrix, TheLargestOfARowIs127AndItsNegativeMinus127) {
  const float values[] = {0.5f, -2.0f, 1.0f, 2.0f, -0.25f, 0.125f};
  const Int8Matrix matrix = quantise_matrix(values, 2, 3);
  EXPECT_EQ(matrix.values[1], -127);
  EXPECT_EQ(matrix.values[3], 127);
  EXPECT_EQ(matrix.scales[0], 2.0f / 127);
}

TEST(Int8Matrix, ARowOfZerosHasAScaleThatCanBeUsed) {
  const float values[] = {0, 0, -0.0f, 1, 1e-45f, -1e-42f};
  const Int8Matrix matrix = quantise_matrix(values, 2, 3);
  EXPECT_EQ(matrix.scales[0], 1);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(matrix.values[i], 0);
  const Int8Matrix tiny = quantise_matrix(values + 4, 1, 2);
  EXPECT_EQ(tiny.scales[0], 1) << "a scale below float32's exact range is not used";
}

}  // namespace
}  // namespace mii
