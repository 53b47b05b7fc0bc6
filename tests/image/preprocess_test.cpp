#include "image/preprocess.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <random>
#include <vector>

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include "mii/error.h"

#include "core/file.h"
#include "image/resample.h"

namespace mii {
namespace {

namespace fs = std::filesystem;

const fs::path kImages = fs::path(MII_TEST_DATA) / "golden" / "synthetic";

std::vector<uint8_t> noise(size_t width, size_t height) {
  std::mt19937 random(static_cast<uint32_t>(width * 1000 + height));
  std::vector<uint8_t> pixels(width * height * 3);
  // Black and white give the largest sums; the rest is anything.
  for (uint8_t& v : pixels)
    v = random() % 3 == 0 ? static_cast<uint8_t>(random()) : static_cast<uint8_t>(255 * (random() % 2));
  return pixels;
}

uint8_t round_and_clip(int64_t sum) {
  const int64_t rounded = (sum + (1 << (AxisWeights::kWeightBits - 1))) >> AxisWeights::kWeightBits;
  return static_cast<uint8_t>(std::clamp<int64_t>(rounded, 0, 255));
}

// The plain loop: one axis of [outer, in, inner] values, summed in 64 bits.
std::vector<uint8_t> resample_plain(const std::vector<uint8_t>& in, size_t outer, size_t in_size,
                                    size_t out_size, size_t inner) {
  if (in_size == out_size) return in;
  const AxisWeights weights(in_size, out_size, 0, out_size);
  std::vector<uint8_t> out(outer * out_size * inner);
  for (size_t o = 0; o < outer; ++o) {
    for (size_t x = 0; x < out_size; ++x) {
      for (size_t i = 0; i < inner; ++i) {
        int64_t sum = 0;
        for (size_t t = 0; t < weights.taps() && weights.first(x) + t < in_size; ++t) {
          sum += int64_t{weights.weights(x)[t]} * in[(o * in_size + weights.first(x) + t) * inner + i];
        }
        out[(o * out_size + x) * inner + i] = round_and_clip(sum);
      }
    }
  }
  return out;
}

void expect_as_plain_loop(size_t in_size, size_t out_size) {
  const size_t other = in_size % 5 + 1;
  const std::vector<uint8_t> wide = noise(in_size, other);
  const Image narrowed = resize_bicubic(Image::from_rgb(in_size, other, wide), out_size, other + 2);
  const auto across = resample_plain(wide, other, in_size, out_size, 3);
  EXPECT_TRUE(
      std::ranges::equal(narrowed.pixels(), resample_plain(across, 1, other, other + 2, 3 * out_size)))
      << in_size << " -> " << out_size << " wide";
  const std::vector<uint8_t> high = noise(other, in_size);
  const Image lowered = resize_bicubic(Image::from_rgb(other, in_size, high), other, out_size);
  EXPECT_TRUE(std::ranges::equal(lowered.pixels(), resample_plain(high, 1, in_size, out_size, 3 * other)))
      << in_size << " -> " << out_size << " high";
}

TEST(Resize, EveryInstructionSetEqualsThePlainLoopAtAllSizes) {
  const size_t sizes[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65};
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    SCOPED_TRACE(hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(target);
    for (const size_t in_size : sizes) {
      for (const size_t out_size : sizes) expect_as_plain_loop(in_size, out_size);
    }
  }
  hwy::SetSupportedTargetsForTest(0);
}

TEST(Resize, TablesInBlocksGiveTheSameWeights) {
  const AxisWeights whole(1000, 30, 0, 30);
  const AxisWeights part(1000, 30, 11, 17);
  for (size_t x = part.begin(); x < part.end(); ++x) {
    EXPECT_EQ(part.first(x), whole.first(x));
    EXPECT_TRUE(std::equal(part.weights(x), part.weights(x) + part.taps(), whole.weights(x)));
  }
  EXPECT_EQ(AxisWeights::block_outputs(3000, 480), 480u);
  EXPECT_LT(AxisWeights::block_outputs(100'000'000, 480), 480u);
  EXPECT_GE(AxisWeights::block_outputs(100'000'000, 1), 1u);
}

// Their weights do not fit one table of bounded size.
TEST(Resize, VeryLongImagesAreResizedInPieces) {
  const size_t length = 1'500'003;
  ASSERT_LT(AxisWeights::block_outputs(length, 7), 7u);
  const std::vector<uint8_t> pixels = noise(length, 1);
  const std::vector<uint8_t> expected = resample_plain(pixels, 1, length, 7, 3);
  EXPECT_TRUE(
      std::ranges::equal(resize_bicubic(Image::from_rgb(length, 1, pixels), 7, 1).pixels(), expected));
  EXPECT_TRUE(
      std::ranges::equal(resize_bicubic(Image::from_rgb(1, length, pixels), 1, 7).pixels(), expected));
}

TEST(Resize, EmptyTargetIsRefused) {
  const Image image = Image::from_rgb(2, 2, std::vector<uint8_t>(12));
  EXPECT_THROW(resize_bicubic(image, 0, 5), Error);
  EXPECT_THROW(resize_bicubic(image, SIZE_MAX / 2, 5), Error);
}

}  // namespace
}  // namespace mii
