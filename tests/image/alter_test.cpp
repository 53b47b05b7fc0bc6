#include "image/alter.h"

#include <gtest/gtest.h>

namespace mii {
namespace {

Image picture(bool colour) {
  std::vector<uint8_t> pixels(40 * 20 * 3);
  for (size_t i = 0; i < pixels.size(); ++i)
    pixels[i] = static_cast<uint8_t>(i / 3 % 40 * 6 + (colour && i % 3 == 0 ? 15 : 0));
  return Image::from_rgb(40, 20, pixels);
}

TEST(Alter, OnlyImagesWithoutColourAreInverted) {
  for (const Alteration alteration : all_alterations()) {
    EXPECT_TRUE(applies(alteration, picture(false))) << to_string(alteration);
    EXPECT_EQ(applies(alteration, picture(true)), alteration != Alteration::inverted)
        << to_string(alteration);
  }
}

TEST(Alter, PixelsAndSizesAreThoseOfTheAlteration) {
  const Image image = picture(true);
  const auto first = [](const Image& i, size_t x, size_t y) {
    const uint8_t* p = i.pixels().data() + (y * i.width() + x) * 3;
    return std::vector<int>{p[0], p[1], p[2]};
  };
  const std::vector<int> at10 = first(image, 10, 5);
  ASSERT_EQ(at10, (std::vector<int>{75, 60, 60}));
  // 0.299 * 75 + 0.701 * 60 = 64.485 (ITU-R BT.601).
  EXPECT_EQ(first(altered(image, Alteration::grey), 10, 5), (std::vector<int>{64, 64, 64}));
  EXPECT_EQ(first(altered(image, Alteration::inverted), 10, 5), (std::vector<int>{180, 195, 195}));
  const Image framed = altered(image, Alteration::border);
  EXPECT_EQ(std::pair(framed.width(), framed.height()), std::pair(size_t{56}, size_t{28}));
  EXPECT_EQ(first(framed, 18, 9), at10);
  EXPECT_EQ(first(framed, 7, 9), (std::vector<int>{0, 0, 0}));
  const Image small = altered(image, Alteration::small), large = altered(image, Alteration::large);
  EXPECT_EQ(std::pair(small.width(), small.height()), std::pair(size_t{64}, size_t{64}));
  EXPECT_EQ(std::pair(large.width(), large.height()), std::pair(size_t{1000}, size_t{500}));
  EXPECT_EQ(altered(image, Alteration::jpeg).width(), 40u);
}

}  // namespace
}  // namespace mii
