#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "maps/overlay.h"
#include "maps/question.h"
#include "maps/scale_bar.h"
#include "mii/error.h"

namespace mii::maps {
namespace {

Image grey(size_t width, size_t height) {
  return Image::from_rgb(width, height, std::vector<uint8_t>(width * height * 3, 100));
}

std::span<const uint8_t> pixel(const Image& image, size_t x, size_t y) {
  return image.pixels().subspan((y * image.width() + x) * 3, 3);
}

TEST(Overlay, TheCanvasHasAUsefulSizeAndTheImagesShape) {
  EXPECT_EQ(canvas_of(grey(8, 4)).width(), 320u);
  EXPECT_EQ(canvas_of(grey(8, 4)).height(), 160u);
  EXPECT_EQ(canvas_of(grey(500, 400)).width(), 500u);
  EXPECT_EQ(canvas_of(grey(4096, 2048)).height(), 512u);
  EXPECT_EQ(canvas_of(grey(1, 3000)).width(), kScaleBarLeastWidth);
  const Image canvas = canvas_of(grey(3000, 7));
  const Image again = canvas_of(canvas);
  EXPECT_THAT(again.pixels(), testing::ElementsAreArray(canvas.pixels()));
}

TEST(Overlay, IsRedForAndBlueAgainstAndTheImageWhereNothingIsSaid) {
  const std::vector<float> values{1, 0, 0, -1};
  const Image drawn = overlay(grey(400, 400), {2, 2, values});
  EXPECT_EQ(drawn.height(), 400 + kScaleBarHeight);
  EXPECT_GT(pixel(drawn, 0, 0)[0], pixel(drawn, 0, 0)[2]);
  EXPECT_LT(pixel(drawn, 399, 399)[0], pixel(drawn, 399, 399)[2]);
  EXPECT_THAT(pixel(drawn, 399, 0), testing::Each(100));
}

TEST(Overlay, AMapOfZerosLeavesTheImage) {
  const std::vector<float> zeros(4);
  const Image drawn = overlay(grey(400, 400), {2, 2, zeros});
  EXPECT_THAT(drawn.pixels().first(400 * 400 * 3), testing::Each(100));
}

TEST(Overlay, ValuesBetweenTokensAreBetweenTheirs) {
  const std::vector<float> values{0, 4, 0, 8};
  const MapGrid map{2, 2, values};
  EXPECT_FLOAT_EQ(value_at(map, 0.25, 0.75), 4);
  EXPECT_FLOAT_EQ(value_at(map, 0.5, 0.75), 6);
  EXPECT_FLOAT_EQ(value_at(map, 0.5, 0.5), 3);
  EXPECT_FLOAT_EQ(value_at(map, 1, 1), 8);
}

TEST(ScaleBar, HasNumbersThatChangeWithTheScale) {
  const auto drawn = [](float largest) {
    std::vector<uint8_t> pixels(200 * kScaleBarHeight * 3);
    draw_scale_bar({200, kScaleBarHeight, pixels}, largest,
                   [](float, std::span<uint8_t> rgb) { std::ranges::fill(rgb, uint8_t{128}); });
    return pixels;
  };
  EXPECT_NE(drawn(0.5f), drawn(0.6f));
  EXPECT_EQ(std::ranges::count(drawn(0.5f), uint8_t{128}), 200 * 10 * 3);
  EXPECT_GT(std::ranges::count(drawn(0.5f), uint8_t{0}), 0);
}

TEST(Question, WhyALabelAndNotItselfIsRefused) {
  Matrix vectors(2, 2);
  vectors.row(0)[0] = vectors.row(1)[0] = 1;
  const Question question = about_labels({"a", "b"}, std::move(vectors), {});
  EXPECT_THROW(against("b", question), Error);  // the same to the model
  EXPECT_THROW(against("c", question), Error);
  EXPECT_EQ(with_versus({"a"}, "a").size(), 1u);
  EXPECT_THROW(against("a", about_labels({"a"}, Matrix(1, 2), Matrix(1, 2))), Error);
}

}  // namespace
}  // namespace mii::maps
