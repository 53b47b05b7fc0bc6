// Maps by hiding, against hiding by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "maps/perturbation.h"
#include "mii/error.h"
#include "procedural_model.h"

namespace mii::maps {
namespace {

class Perturbation : public testing::Test {
 protected:
  Perturbation() : engine_(Engine::open(model_.folder(), {.precision = Precision::f32, .threads = 1})) {
    std::vector<uint8_t> pixels(96 * 96 * 3);
    for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(i * 37 % 251);
    image_ = Image::from_rgb(96, 96, pixels);
    directions_ = engine_.encode_texts(std::vector<std::string>{"an x-ray", "skin"});
  }

  double score_of(const Image& image, size_t k) const {
    const Matrix vector = engine_.encode_images({&image, 1});
    return std::inner_product(vector.row(0).begin(), vector.row(0).end(), directions_.row(k).begin(), 0.0);
  }

  ProceduralModel model_{"tiny-a"};
  Engine engine_;
  Image image_ = Image::from_rgb(1, 1, std::vector<uint8_t>(3));
  Matrix directions_;
};

TEST_F(Perturbation, ACellIsWorthWhatTheScoreLosesWithoutIt) {
  size_t computed = 0;
  PerturbationOptions options;
  options.progress = [&](size_t more) { computed += more; };
  const TokenMaps maps = occlusion_maps(engine_, image_, directions_, options);
  ASSERT_EQ(maps.rows, 3u);
  ASSERT_EQ(maps.cols, 3u);
  EXPECT_EQ(computed, 9u);
  std::vector<uint8_t> pixels(image_.pixels().begin(), image_.pixels().end());
  for (size_t y = 32; y < 64; ++y)  // the cell in row 1 and column 2
    for (size_t x = 64; x < 96; ++x)
      std::ranges::copy(kHidden, pixels.begin() + static_cast<std::ptrdiff_t>((y * 96 + x) * 3));
  const Image without = Image::from_rgb(96, 96, pixels);
  // Float32 vectors of length 1, in a batch or alone: 2e-6 each.
  for (size_t k = 0; k < 2; ++k)
    EXPECT_NEAR(maps.maps.row(k)[1 * 3 + 2], score_of(image_, k) - score_of(without, k), 4e-6);
}

TEST_F(Perturbation, RiseDependsOnItsSeedAlone) {
  const auto values = [&](uint64_t seed) {
    const TokenMaps maps = rise_maps(engine_, image_, directions_, {.masks = 10, .seed = seed});
    return std::vector<float>(maps.maps.values().begin(), maps.maps.values().end());
  };
  EXPECT_EQ(values(1), values(1));
  EXPECT_NE(values(1), values(2));
}

// A direction in which every image scores the same: what is seen does not matter.
TEST_F(Perturbation, RiseSaysNothingWhereNothingDependsOnTheImage) {
  const TokenMaps maps = rise_maps(engine_, image_, Matrix(1, directions_.cols()), {.masks = 10});
  EXPECT_THAT(maps.maps.row(0), testing::Each(0.0f));
}

TEST_F(Perturbation, StopsWhenItIsTold) {
  try {
    rise_maps(engine_, image_, directions_, {.cancelled = [] { return true; }});
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::cancelled);
  }
}

TEST_F(Perturbation, RefusesDirectionsOfAnotherWidth) {
  EXPECT_THROW(occlusion_maps(engine_, image_, Matrix(1, 3)), Error);
  EXPECT_THROW(rise_maps(engine_, image_, Matrix(1, 3)), Error);
}

}  // namespace
}  // namespace mii::maps
