#include "core/bytes.h"

#include <gtest/gtest.h>

#include <array>

namespace mii {
namespace {

constexpr std::array<uint8_t, 9> kBytes{0xFF, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x88};

TEST(Bytes, TheLowestComesFirstInLittleEndian) {
  EXPECT_EQ(load_le<uint8_t>(&kBytes[1]), 0x01);
  EXPECT_EQ(load_le<uint16_t>(&kBytes[1]), 0x0201);
  EXPECT_EQ(load_le<uint32_t>(&kBytes[1]), 0x04030201u);
  EXPECT_EQ(load_le<uint64_t>(&kBytes[1]), 0x8807060504030201u);
}

TEST(Bytes, TheHighestComesFirstInBigEndian) {
  EXPECT_EQ(load_be<uint8_t>(&kBytes[1]), 0x01);
  EXPECT_EQ(load_be<uint16_t>(&kBytes[1]), 0x0102);
  EXPECT_EQ(load_be<uint32_t>(&kBytes[1]), 0x01020304u);
  EXPECT_EQ(load_be<uint64_t>(&kBytes[1]), 0x0102030405060788u);
}

}  // namespace
}  // namespace mii
