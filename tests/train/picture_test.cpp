#include "train/picture.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <array>

#include "image/encode_jpeg.h"
#include "mii/error.h"

namespace mii {
namespace {

TEST(DecodeJpeg, GivesOneChannelOfGreyAndThreeOfColour) {
  for (const int blue : {100, 160}) {
    std::vector<uint8_t> values(32 * 16 * 3, 100);
    for (size_t i = 2; i < values.size(); i += 3) values[i] = static_cast<uint8_t>(blue);
    const Picture picture = decode_jpeg(encode_jpeg(Image::from_rgb(32, 16, values), 90));
    const size_t channels = blue == 100 ? 1 : 3;
    ASSERT_EQ(static_cast<size_t>(picture.channels), channels);
    EXPECT_EQ(picture.width, 32);
    EXPECT_EQ(picture.height, 16);
    ASSERT_EQ(picture.values.size(), 32 * 16 * channels);
    for (size_t i = 0; i < picture.values.size(); ++i)
      ASSERT_NEAR(picture.values[i], channels == 3 && i % 3 == 2 ? blue : 100, 3) << i;  // chroma is rounded
  }
}

TEST(DecodeJpeg, DamageIsRefused) {
  const std::vector<std::byte> bytes(100, std::byte{0xFF});
  EXPECT_THROW(decode_jpeg(bytes), Error);
  std::vector<uint8_t> values;
  for (int i = 0; i < 64 * 64 * 3; ++i) values.push_back(static_cast<uint8_t>(i * 37));
  std::vector<std::byte> cut = encode_jpeg(Image::from_rgb(64, 64, values), 90);
  EXPECT_NO_THROW(decode_jpeg(cut));
  cut.resize(cut.size() / 2);
  EXPECT_THROW(decode_jpeg(cut), Error);
}

// A header of a few bytes must not cause gigabytes to be allocated.
TEST(DecodeJpeg, ASizeBeyondAnyTrainingImageIsRefused) {
  std::vector<std::byte> jpeg = encode_jpeg(Image::from_rgb(8, 8, std::vector<uint8_t>(8 * 8 * 3, 100)), 90);
  constexpr std::array<std::byte, 2> kFrame{std::byte{0xFF}, std::byte{0xC0}};
  const auto frame = std::ranges::search(jpeg, kFrame).begin();
  ASSERT_NE(frame, jpeg.end());
  std::fill_n(frame + 5, 4, std::byte{0xF0});  // height and width
  try {
    decode_jpeg(jpeg);
    FAIL() << "decoded";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_image);
    EXPECT_THAT(error.what(), testing::HasSubstr("61680 x 61680"));
  }
}

}  // namespace
}  // namespace mii
