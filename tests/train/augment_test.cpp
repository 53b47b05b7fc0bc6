#include "train/augment.h"

#include <gmock/gmock.h>

#include "mii/error.h"

namespace mii {
namespace {

TEST(Augment, DependsOnItsKeysOnlyAndStaysInRange) {
  Picture picture{.width = 40, .height = 30, .channels = 3, .values = {}};
  for (int i = 0; i < 40 * 30 * 3; ++i) picture.values.push_back(static_cast<uint8_t>(i * 5));
  for (uint64_t key = 0; key < 200; ++key) {
    Random a{1, key}, b{1, key};
    const Planes x = augmented(picture, 32, 32, 1, a), y = augmented(picture, 32, 32, 1, b);
    ASSERT_EQ(x.values, y.values);
    for (const float v : x.values) ASSERT_TRUE(v >= 0 && v <= 1) << key;
  }
}

TEST(Augment, PlainResizeToTheSameSizeKeepsThePixels) {
  Picture picture{.width = 9, .height = 5, .channels = 1, .values = {}};
  for (int i = 0; i < 45; ++i) picture.values.push_back(static_cast<uint8_t>(i * 5));
  const Planes x = resized(picture, 9, 5);
  for (size_t i = 0; i < 45; ++i) ASSERT_NEAR(x.values[i] * 255, picture.values[i], 1e-3);
}

TEST(Augment, DamagedJpegIsRefused) {
  const std::vector<std::byte> bytes(100, std::byte{0xFF});
  EXPECT_THROW(decode_jpeg(bytes), Error);
}

}  // namespace
}  // namespace mii
