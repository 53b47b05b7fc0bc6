// Pooled vectors of slices, computed by hand.

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mii/error.h"
#include "mii/series.h"

namespace mii {
namespace {

Matrix rows(const std::vector<std::vector<float>>& values) {
  Matrix matrix(values.size(), values.front().size());
  for (size_t r = 0; r < values.size(); ++r) std::ranges::copy(values[r], matrix.row(r).begin());
  return matrix;
}

// One operation in f32 more or less.
void expect_row(const Matrix& found, const std::vector<double>& expected) {
  ASSERT_EQ(found.rows(), 1u);
  ASSERT_EQ(found.cols(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(found.row(0)[i], expected[i], 2e-7) << i;
}

// Columns: 1 0 2, 0 3 0, 0 4 4, and -1 -1 -4.
const std::vector<std::vector<float>> kSlices{{1, 0, 0, -1}, {0, 3, 4, -1}, {2, 0, 4, -4}};

TEST(PoolSlices, MeanOfUnitLength) {
  // 1, 1, 8/3, -2: the length is sqrt(1 + 1 + 64/9 + 4).
  const double length = std::sqrt(6 + 64 / 9.0);
  expect_row(pool_slices(rows(kSlices), Pooling::mean),
             {1 / length, 1 / length, 8 / 3.0 / length, -2 / length});
}

TEST(PoolSlices, MedianOfUnitLength) {
  // 1, 0, 4, -1.
  const double length = std::sqrt(18);
  expect_row(pool_slices(rows(kSlices), Pooling::median), {1 / length, 0, 4 / length, -1 / length});
  // Of two, the value between: 0.5, 1.5, 2, -1.
  const double two = std::sqrt(0.25 + 2.25 + 4 + 1);
  expect_row(pool_slices(rows({kSlices[0], kSlices[1]}), Pooling::median),
             {0.5 / two, 1.5 / two, 2 / two, -1 / two});
}

TEST(PoolSlices, MaxOfUnitLength) {
  // 2, 3, 4, -1.
  const double length = std::sqrt(30);
  expect_row(pool_slices(rows(kSlices), Pooling::max), {2 / length, 3 / length, 4 / length, -1 / length});
}

TEST(PoolSlices, StandardDeviationOfThePopulationKeepsItsLength) {
  // Mean squares less squared means: 5/3 - 1, 3 - 1, 32/3 - 64/9, 6 - 4.
  expect_row(pool_slices(rows(kSlices), Pooling::std),
             {std::sqrt(2 / 3.0), std::sqrt(2), std::sqrt(32 / 9.0), std::sqrt(2)});
}

TEST(PoolSlices, OneSliceIsItself) {
  for (const Pooling pooling : {Pooling::mean, Pooling::median, Pooling::max})
    expect_row(pool_slices(rows({{0.6f, 0, -0.8f}}), pooling), {0.6, 0, -0.8});
  expect_row(pool_slices(rows({{0.6f, 0, -0.8f}}), Pooling::std), {0, 0, 0});
}

TEST(PoolSlices, WithoutSlicesIsAnError) {
  try {
    pool_slices(Matrix(0, 4), Pooling::mean);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
  }
}

}  // namespace
}  // namespace mii
