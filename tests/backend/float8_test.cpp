// Floats of eight bits, and products of them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "backend/cuda/device_on_host.h"
#include "backend/cuda/kernels.h"
#include "core/tensor.h"

namespace mii::cuda {
namespace {

Float8 code(int bits) { return {static_cast<uint8_t>(bits)}; }
constexpr int kLargestCode = 0x7E;

// The values that arXiv 2209.05433 gives in its table 1.
TEST(Float8, HasThePublishedValues) {
  EXPECT_EQ(to_float(code(0x00)), 0.0f);
  EXPECT_EQ(to_float(code(0x01)), 0x1p-9f);
  EXPECT_EQ(to_float(code(0x07)), 0.875f * 0x1p-6f);
  EXPECT_EQ(to_float(code(0x08)), 0x1p-6f);
  EXPECT_EQ(to_float(code(0x38)), 1.0f);
  EXPECT_EQ(to_float(code(kLargestCode)), 448.0f);
  EXPECT_TRUE(std::isnan(to_float(code(0x7F))));
  EXPECT_TRUE(std::isnan(to_float(code(0xFF))));
}

TEST(Float8, IsTheNearestAndAtATieTheEvenOne) {
  for (int c = 0; c < kLargestCode; ++c) {
    const float here = to_float(code(c)), next = to_float(code(c + 1)), middle = (here + next) / 2;
    EXPECT_LT(here, next);
    EXPECT_EQ(to_float8(here).bits, c);
    EXPECT_EQ(to_float8(-here).bits, c | 0x80);
    EXPECT_EQ(to_float8(std::nextafter(middle, here)).bits, c);
    EXPECT_EQ(to_float8(middle).bits, c % 2 == 0 ? c : c + 1);
    EXPECT_EQ(to_float8(std::nextafter(middle, next)).bits, c + 1);
  }
}

TEST(Float8, EndsAtItsLargestAndKeepsNan) {
  for (const float beyond : {448.0f, 449.0f, 1e30f, INFINITY}) {
    EXPECT_EQ(to_float8(beyond).bits, kLargestCode);
    EXPECT_EQ(to_float8(-beyond).bits, kLargestCode | 0x80);
  }
  EXPECT_TRUE(std::isnan(to_float(to_float8(NAN))));
}

class Float8Product : public testing::Test {
 protected:
  Memory on_device(const std::vector<float>& values) const {
    Memory memory(device_, static_cast<int64_t>(values.size() * sizeof(float)));
    device_->copy_in(values.data(), memory.as(), memory.bytes());
    return memory;
  }
  struct Rounded {
    Memory values, factors;
  };
  Rounded round(const std::vector<float>& values, int64_t rows) const {
    const auto n = static_cast<int64_t>(values.size());
    const Memory floats = on_device(values);
    Rounded rounded{Memory(device_, n), Memory(device_, rows * 4)};
    round_to_f8(*device_, {{floats.as(), Operand::f32}, rows, n / rows}, rounded.values.as(),
                rounded.factors.as<float>());
    return rounded;
  }

  const std::shared_ptr<Device> device_ = std::make_shared<HostDevice>(0);
};

TEST_F(Float8Product, OperandsAreRoundedToWhatIsNearestOfEachRow) {
  constexpr int64_t kRows = 11, kCols = 48;
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> values(kRows * kCols);
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = normal(random) * std::exp2(static_cast<float>(i / kCols) * 3);
  std::fill_n(values.begin() + kCols, kCols, 0.0f);        // nothing
  std::fill_n(values.begin() + 2 * kCols, kCols, 1e-35f);  // next to nothing
  values[3 * kCols + 5] = NAN;
  const Rounded rounded = round(values, kRows);
  for (int64_t r = 0; r < kRows; ++r) {
    float top = 0;
    for (int64_t c = 0; c < kCols; ++c) top = std::fmax(top, std::fabs(values[r * kCols + c]));
    const float factor = rounded.factors.as<float>()[r];
    EXPECT_EQ(factor, top > 1e-30f ? top / 448 : 1.0f);
    for (int64_t c = 0; c < kCols; ++c)
      EXPECT_EQ(rounded.values.as<Float8>()[r * kCols + c].bits,
                to_float8(values[r * kCols + c] / factor).bits);
  }
}

// Of the rounded operands the product is exact but for the sums' rounding: in float32 a sum of 64 terms errs
// by 64 * 2^-24 of the sum of their magnitudes, the two factors and their product by 3 * 2^-24 more.
TEST_F(Float8Product, IsTheSumOfProductsTimesTheFactors) {
  constexpr int64_t kRows = 19, kIn = 64, kOut = 21;
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  std::vector<float> a(to_tiles(kRows) * kIn), weight(to_tiles(kOut) * kIn), bias(kOut), c(kRows * kOut);
  for (std::vector<float>* values : {&a, &weight, &bias, &c})
    for (float& v : *values) v = normal(random);
  const Rounded left = round(a, to_tiles(kRows)), right = round(weight, to_tiles(kOut));
  const Memory to = on_device(c), added = on_device(bias);
  add_bias(*device_, {added.as<float>(), kRows, kOut, kOut, true}, to.as<float>());
  multiply_plainly(*device_,
                   {left.values.as(), kRows, kIn, right.values.as(), kOut, nullptr, to.as(), kOut, true,
                    left.factors.as<float>(), right.factors.as<float>()},
                   Operand::f8, Operand::f32);
  for (int64_t r = 0; r < kRows; ++r)
    for (int64_t o = 0; o < kOut; ++o) {
      double sum = 0, magnitude = 0;
      for (int64_t i = 0; i < kIn; ++i) {
        const double term = double{to_float(left.values.as<Float8>()[r * kIn + i])} *
                            to_float(right.values.as<Float8>()[o * kIn + i]);
        sum += term;
        magnitude += std::fabs(term);
      }
      const double factor = double{left.factors.as<float>()[r]} * right.factors.as<float>()[o];
      const double before = double{c[r * kOut + o]} + bias[o];
      EXPECT_NEAR(to.as<float>()[r * kOut + o], before + factor * sum,
                  67 * 0x1p-24 * (factor * magnitude + std::fabs(before)));
    }
}

}  // namespace
}  // namespace mii::cuda
