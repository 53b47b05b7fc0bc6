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

TEST(ToFloats, ReadsEachFloatTypeFromAnyAddress) {
  const std::vector<std::pair<DType, std::vector<uint8_t>>> stored{
      {DType::f32, {0, 0, 0xC0, 0x3F, 0, 0, 0x40, 0xC0}},  // 1.5, -3, little-endian as in the file
      {DType::bf16, {0xC0, 0x3F, 0x40, 0xC0}},
      {DType::f16, {0x00, 0x3E, 0x00, 0xC2}}};
  for (const auto& [dtype, bytes] : stored) {
    std::vector<std::byte> shifted(1 + bytes.size());
    std::memcpy(shifted.data() + 1, bytes.data(), bytes.size());
    float values[2] = {};
    to_floats(shifted.data() + 1, dtype, 2, values);
    EXPECT_EQ(values[0], 1.5f) << to_string(dtype);
    EXPECT_EQ(values[1], -3.0f) << to_string(dtype);
  }
  float value = 0;
  const std::byte byte{1};
  EXPECT_THROW(to_floats(&byte, DType::u8, 1, &value), Error);
}

}  // namespace
}  // namespace mii
