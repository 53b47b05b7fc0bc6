// Percentiles against numpy's definition: rank p / 100 * (n - 1) in the sorted values, linear in between.

#include <algorithm>
#include <cmath>
#include <ctime>
#include <limits>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "medical/value_range.h"

namespace mii {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

GreyFrame row(const std::vector<int32_t>& values) {
  return {.rows = 1, .cols = values.size(), .integers = values};
}

GreyFrame real_row(const std::vector<double>& values) {
  return {.rows = 1, .cols = values.size(), .reals = values};
}

double by_definition(std::vector<double> values, double percentile) {
  std::ranges::sort(values);
  const double rank = percentile / 100 * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(std::floor(rank));
  const size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (values[above] - values[below]) * (rank - static_cast<double>(below));
}

// Two orders of the same three operations: a few units in the last place.
void expect_range(const ValueRange& range, double low, double high) {
  EXPECT_NEAR(range.low, low, 1e-13 * (1 + std::abs(low)));
  EXPECT_NEAR(range.high, high, 1e-13 * (1 + std::abs(high)));
}

TEST(Percentiles, AreLinearBetweenRanks) {
  // 1, 2, 3, 4: rank of 25 is 0.75, of 75 is 2.25.
  expect_range(percentiles_of(row({4, 1, 3, 2}), 25, 75), 1.75, 3.25);
  expect_range(percentiles_of(row({10, 0}), 1, 99), 0.1, 9.9);
  expect_range(percentiles_of(row({10, 0, 5}), 0, 100), 0, 10);
  expect_range(percentiles_of(row({7}), 1, 99), 7, 7);
  expect_range(percentiles_of(row({5, 5, 5, 9}), 50, 99), 5, 8.88);  // rank of 99 is 2.97
  expect_range(percentiles_of(real_row({0.5, 2.5, 1.5}), 25, 75), 1, 2);
}

TEST(Percentiles, EqualTheDefinitionOnRandomValues) {
  std::mt19937 random(1);
  for (const size_t n : {1u, 2u, 3u, 99u, 100u, 101u, 5000u}) {
    std::vector<int32_t> integers(n);
    std::vector<double> values(n), reals(n);
    for (size_t i = 0; i < n; ++i) {
      integers[i] = static_cast<int32_t>(random() % 3000) - 1500;
      values[i] = integers[i];
      reals[i] = std::ldexp(static_cast<double>(random()), -20);
    }
    for (const auto& [low, high] : {std::pair(1.0, 99.0), std::pair(5.0, 95.0), std::pair(0.1, 99.9)}) {
      expect_range(percentiles_of(row(integers), low, high), by_definition(values, low),
                   by_definition(values, high));
      expect_range(percentiles_of(real_row(reals), low, high), by_definition(reals, low),
                   by_definition(reals, high));
    }
  }
}

TEST(Percentiles, LeaveOutPaddingAndWhatIsNoNumber) {
  GreyFrame padded = row({-2000, 4, -1999, 1, 3, 2, -2000});
  padded.padding = {-2000, -1999};
  expect_range(percentiles_of(padded, 25, 75), 1.75, 3.25);
  expect_range(range_of(padded), 1, 4);
  const GreyFrame reals = real_row({kNaN, 4, 1, kInfinity, 3, 2, -kInfinity});
  expect_range(percentiles_of(reals, 25, 75), 1.75, 3.25);
  expect_range(range_of(reals), 1, 4);
}

TEST(Percentiles, WithoutValuesAreZero) {
  GreyFrame padded = row({9, 9});
  padded.padding = {9, 9};
  expect_range(percentiles_of(padded, 1, 99), 0, 0);
  expect_range(range_of(padded), 0, 0);
  expect_range(percentiles_of(real_row({kNaN}), 1, 99), 0, 0);
}

TEST(Percentiles, CountFromTheLowestRealValueUnderANegativeSlope) {
  GreyFrame frame = row({0, 10, 20, 100});
  frame.slope = -2;
  frame.intercept = 5;  // 5, -15, -35, -195
  expect_range(percentiles_of(frame, 25, 100), by_definition({5, -15, -35, -195}, 25), 5);
  expect_range(range_of(frame), -195, 5);
}

TEST(Percentiles, OfIntegersFarApartAreExact) {
  expect_range(percentiles_of(row({INT32_MIN, 0, INT32_MAX}), 50, 100), 0, INT32_MAX);
  expect_range(percentiles_of(row({INT32_MIN, 0, INT32_MAX}), 0, 25), INT32_MIN, INT32_MIN / 2.0);
}

ValueRange joint_percentiles(const std::vector<GreyFrame>& frames, double low, double high, bool exact) {
  ValueStatistics statistics;
  for (const GreyFrame& frame : frames) statistics.add_range(frame);
  EXPECT_EQ(statistics.exact(), exact);
  for (const GreyFrame& frame : frames) statistics.add_values(frame);
  return statistics.percentiles(low, high);
}

// Counting what lies between them would take 128 MB and some 50 ms each time.
TEST(Percentiles, OfFewIntegersFarApartCostLittle) {
  const std::clock_t begin = std::clock();
  for (int i = 0; i < 200; ++i) expect_range(percentiles_of(row({0, 1 << 23}), 25, 75), 1 << 21, 3 << 21);
  EXPECT_LT(std::clock() - begin, CLOCKS_PER_SEC);
}

TEST(SeriesStatistics, EqualThoseOfOneJointFrame) {
  std::mt19937 random(2);
  std::vector<GreyFrame> frames;
  std::vector<int32_t> joint;
  for (int f = 0; f < 5; ++f) {
    std::vector<int32_t> values(200);
    for (int32_t& value : values) value = static_cast<int32_t>(random() % 1000) + 500 * f - 1000;
    joint.insert(joint.end(), values.begin(), values.end());
    frames.push_back(row(values));
    frames.back().slope = 0.5;
    frames.back().intercept = -3;
  }
  GreyFrame all = row(joint);
  all.slope = 0.5;
  all.intercept = -3;
  const ValueRange one = percentiles_of(all, 1, 99);
  expect_range(joint_percentiles(frames, 1, 99, true), one.low, one.high);
}

TEST(SeriesStatistics, OfSeveralRescalesAreWithinOneBin) {
  std::mt19937 random(3);
  std::vector<GreyFrame> frames;
  std::vector<double> values;
  for (int f = 0; f < 4; ++f) {
    std::vector<int32_t> stored(500);
    for (int32_t& value : stored) value = static_cast<int32_t>(random() % 4096);
    frames.push_back(row(stored));
    frames.back().slope = 1 + f * 0.37;
    for (const int32_t value : stored) values.push_back(frames.back().slope * value);
  }
  const auto [low, high] = std::ranges::minmax(values);
  const ValueRange found = joint_percentiles(frames, 5, 95, false);
  // A value moves by half a bin at the most, and the range has 65535 of them.
  const double bin = (high - low) / 65535;
  EXPECT_NEAR(found.low, by_definition(values, 5), bin / 2 + 1e-9);
  EXPECT_NEAR(found.high, by_definition(values, 95), bin / 2 + 1e-9);
}

TEST(SeriesStatistics, OfRealFramesAreWithinOneBin) {
  std::mt19937 random(4);
  std::vector<GreyFrame> frames;
  std::vector<double> values;
  for (int f = 0; f < 3; ++f) {
    std::vector<double> reals(700);
    for (double& value : reals) value = std::ldexp(static_cast<double>(random()), -32) - f;
    values.insert(values.end(), reals.begin(), reals.end());
    reals.push_back(kNaN);
    frames.push_back(real_row(reals));
  }
  const auto [low, high] = std::ranges::minmax(values);
  const ValueRange found = joint_percentiles(frames, 1, 99, false);
  EXPECT_NEAR(found.low, by_definition(values, 1), (high - low) / 65535 / 2 + 1e-12);
  EXPECT_NEAR(found.high, by_definition(values, 99), (high - low) / 65535 / 2 + 1e-12);
}

// An empty slice, say, of which every pixel is padding, must not spoil the others.
TEST(SeriesStatistics, AFrameWithoutValuesChangesNothing) {
  GreyFrame padding = row({-1, -1});
  padding.padding = {-1, -1};
  for (const auto& frames :
       {std::vector{padding, row({1, 2, 3, 4})}, std::vector{row({1, 2, 3, 4}), padding}})
    expect_range(joint_percentiles(frames, 25, 75, true), 1.75, 3.25);
}

}  // namespace
}  // namespace mii
