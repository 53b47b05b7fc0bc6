#include "engine/resize_axes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "backend/cuda/cuda_backend.h"
#include "image/preprocess.h"

namespace mii {
namespace {

constexpr size_t kWidth = 48, kHeight = 36;

Image noise(size_t width, size_t height) {
  std::vector<uint8_t> pixels(width * height * 3);
  uint32_t state = static_cast<uint32_t>(width * 31 + height);
  for (uint8_t& p : pixels) {
    state = state * 1664525u + 1013904223u;
    p = static_cast<uint8_t>(state >> 24 < 40 ? 0 : state >> 24 > 215 ? 255 : state >> 24);  // it overshoots
  }
  return Image::from_rgb(width, height, pixels);
}

// On the device, in one batch.
std::vector<std::vector<uint8_t>> resized_by(Backend& backend, std::span<const Image> images) {
  ResizeAxes axes;
  std::vector<ImageBytes> bytes;
  for (const Image& image : images)
    bytes.push_back({image.pixels(), axes.find(image.width(), kWidth), axes.find(image.height(), kHeight)});
  const size_t each = kWidth * kHeight * 3;
  Buffer buffer(backend);
  const Rows y = buffer.take(static_cast<int64_t>(images.size() * kWidth * kHeight), 3);
  backend.scale_pixels(*backend.send_images(bytes), {{0, 0, 0}, {1, 1, 1}}, y);
  std::vector<float> values(images.size() * each);
  backend.download(y, values);
  std::vector<std::vector<uint8_t>> all(images.size());
  for (size_t i = 0; i < values.size(); ++i)
    all[i / each].push_back(static_cast<uint8_t>(std::lround(255 * values[i])));
  return all;
}

// Smaller and larger, odd, lines, and as they are.
TEST(ResizeAxes, OnADeviceGiveTheBytesOfPillowsResize) {
  std::vector<Image> images;
  for (const size_t width : {1, 2, 17, 47, 48, 49, 96, 331})
    for (const size_t height : {1, 3, 35, 36, 37, 144, 257}) images.push_back(noise(width, height));
  images.push_back(noise(4096, 5));
  images.push_back(noise(3, 4096));
  images.push_back(noise(1024, 1024));
  const auto backend = cuda::device_backend().make({.precision = Precision::f32});
  const auto actual = resized_by(*backend, images);
  for (size_t i = 0; i < images.size(); ++i) {
    const Image expected = resize_bicubic(images[i], kWidth, kHeight);
    EXPECT_TRUE(std::ranges::equal(actual[i], expected.pixels()))
        << images[i].width() << " x " << images[i].height();
  }
}

TEST(ResizeAxes, AreMadeOnceAndNotForWhatFits) {
  ResizeAxes axes;
  EXPECT_EQ(axes.find(48, 48), nullptr);
  const auto first = axes.find(100, 48);
  EXPECT_EQ(axes.find(100, 48), first);
  for (size_t in = 200; in < 300; ++in) axes.find(in, 48);
  EXPECT_NE(axes.find(100, 48), first) << "the number that is kept is bounded";
  EXPECT_EQ(axes.find(100, 48)->weights, first->weights);
}

}  // namespace
}  // namespace mii
