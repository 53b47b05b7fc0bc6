#include "core/tensor.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "mii/error.h"

namespace mii {
namespace {

TEST(BFloat16, RoundsToNearestEven) {
  EXPECT_EQ(to_bfloat16(1.0f).bits, 0x3F80);
  EXPECT_EQ(to_bfloat16(1.00390625f).bits, 0x3F80);  // half way between 1 and the next: to even
  EXPECT_EQ(to_bfloat16(1.01171875f).bits, 0x3F82);  // half way, odd below: up to even
  EXPECT_EQ(to_bfloat16(-2.5f).bits, 0xC020);
  EXPECT_TRUE(std::isinf(to_float(to_bfloat16(std::numeric_limits<float>::infinity()))));
  EXPECT_TRUE(std::isnan(to_float(to_bfloat16(std::numeric_limits<float>::signaling_NaN()))));
}

TEST(Float16, EveryFiniteValueSurvivesTheRoundTrip) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const Float16 half{static_cast<uint16_t>(bits)};
    if (((bits >> 10) & 31) == 31) continue;  // infinity and NaN
    ASSERT_EQ(to_float16(to_float(half)).bits, half.bits) << std::hex << bits;
  }
}

TEST(Float16, RoundsAndSaturates) {
  EXPECT_EQ(to_float(Float16{0x3C00}), 1.0f);
  EXPECT_EQ(to_float(Float16{0x0001}), 0x1p-24f);
  EXPECT_EQ(to_float16(65519.0f).bits, 0x7BFF);
  EXPECT_EQ(to_float16(65520.0f).bits, 0x7C00);
  EXPECT_EQ(to_float16(1.0f + 0x1p-11f).bits, 0x3C00);      // tie to even
  EXPECT_EQ(to_float16(1.0f + 3 * 0x1p-11f).bits, 0x3C02);  // tie to even, upwards
  EXPECT_EQ(to_float16(0x1.ffcp-15f).bits, 0x0400);         // the largest subnormals carry into the exponent
}

TEST(Shape, PrintsAndCounts) {
  EXPECT_EQ(to_string(Shape{2048, 1024}), "[2048, 1024]");
  EXPECT_EQ(to_string(Shape{}), "[]");
  EXPECT_EQ(element_count({}), 1);
  EXPECT_EQ(element_count({3, 0, 5}), 0);
}

}  // namespace
}  // namespace mii
