#include "train/augment.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

namespace mii {
namespace {

TEST(Augment, DependsOnItsKeysOnlyAndStaysInRange) {
  Picture picture{.width = 40, .height = 30, .channels = 3, .values = {}};
  for (int i = 0; i < 40 * 30 * 3; ++i) picture.values.push_back(static_cast<uint8_t>(i * 5));
  for (uint64_t key = 0; key < 200; ++key) {
    Random a{1, key}, b{1, key};
    const Planes x = augmented(picture, {32, 32, 1, 0.5f}, a), y = augmented(picture, {32, 32, 1, 0.5f}, b);
    ASSERT_EQ(x.values, y.values);
    for (const float v : x.values) ASSERT_TRUE(v >= 0 && v <= 1) << key;
  }
}

// Independent pixels of 0 or 1 have a deviation of 1/2. The mean of nine or more of them has 1/6 or less; a
// value interpolated between four has about 1/3. A view shows at least 0.6 of the area, so at a quarter of
// the side at least 3.1 x 3.1 pixels fall into a place.
TEST(Augment, PlacesOfASmallerViewAreMeansOfWhatFallsIntoThem) {
  Picture picture{.width = 96, .height = 96, .channels = 1, .values = {}};
  Random noise{7};
  for (int i = 0; i < 96 * 96; ++i) picture.values.push_back(noise.chance(0.5f) ? 255 : 0);
  std::vector<double> deviations;
  for (uint64_t key = 0; key < 51; ++key) {
    Random random{1, key};
    const Planes x = augmented(picture, {24, 24, 0, 0}, random);
    double sum = 0, squares = 0;
    for (const float v : x.values) sum += v, squares += v * v;
    const double n = static_cast<double>(x.values.size()), mean = sum / n;
    deviations.push_back(std::sqrt(squares / n - mean * mean));
  }
  std::ranges::nth_element(deviations, deviations.begin() + 25);  // now and then contrast is stretched
  EXPECT_LT(deviations[25], 1 / 6.0);
}

// Grey images often have three channels; a coloured image is never a radiograph, say.
TEST(Augment, GreyInThreeChannelsStaysGrey) {
  Picture picture{.width = 40, .height = 30, .channels = 3, .values = {}};
  for (int i = 0; i < 40 * 30 * 3; ++i) picture.values.push_back(static_cast<uint8_t>(i / 3 * 5));
  for (uint64_t key = 0; key < 200; ++key) {
    Random random{1, key};
    const Planes x = augmented(picture, {32, 32, 1, 0.5f}, random);
    for (size_t i = 0; i < x.plane(); ++i) {
      ASSERT_EQ(x.values[i], x.values[x.plane() + i]) << key;
      ASSERT_EQ(x.values[i], x.values[2 * x.plane() + i]) << key;
    }
  }
}

TEST(Augment, ColourIsTakenAwayAsOftenAsAsked) {
  Picture picture{.width = 40, .height = 30, .channels = 3, .values = {}};
  for (int i = 0; i < 40 * 30; ++i) picture.values.insert(picture.values.end(), {200, 100, 50});
  const auto grey_views = [&](float grey) {
    int count = 0;
    for (uint64_t key = 0; key < 100; ++key) {
      Random random{1, key};
      const Planes x = augmented(picture, {32, 32, 0, grey}, random);
      count += x.values[0] == x.values[x.plane()];
    }
    return count;
  };
  EXPECT_EQ(grey_views(0), 0);
  EXPECT_EQ(grey_views(1), 100);
  EXPECT_NEAR(grey_views(0.5f), 50, 20);  // four standard deviations
}

// Images of one source share their margins. The right half of this image is black, so a view without black is
// a close view of the left half, or had its black half cut off. Without cutting, 69 of these 400 views have
// no black.
TEST(Augment, BlackMarginsAreOftenCutOff) {
  Picture picture{.width = 48, .height = 48, .channels = 1, .values = {}};
  for (int i = 0; i < 48 * 48; ++i) picture.values.push_back(i % 48 < 24 ? 200 : 0);
  int without_black = 0;
  constexpr int kViews = 400;
  for (uint64_t key = 0; key < kViews; ++key) {
    Random random{1, key};
    const Planes x = augmented(picture, {32, 32, 1, 0.5f}, random);
    const auto dark = std::ranges::count_if(x.values, [](float value) { return value < 0.1f; });
    without_black += dark * 20 < static_cast<std::ptrdiff_t>(x.values.size());
  }
  EXPECT_GT(without_black, kViews / 4);
}

TEST(Augment, PlainResizeToTheSameSizeKeepsThePixels) {
  Picture picture{.width = 9, .height = 5, .channels = 1, .values = {}};
  for (int i = 0; i < 45; ++i) picture.values.push_back(static_cast<uint8_t>(i * 5));
  const Planes x = resized(picture, 9, 5);
  for (size_t i = 0; i < 45; ++i) ASSERT_NEAR(x.values[i] * 255, picture.values[i], 1e-3);
}

}  // namespace
}  // namespace mii
