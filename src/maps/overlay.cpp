#include "maps/overlay.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "image/preprocess.h"
#include "maps/scale_bar.h"

namespace mii::maps {
namespace {

constexpr std::array<float, 3> kFor{220, 30, 20}, kAgainst{20, 70, 230};
constexpr float kMostOpaque = 0.65f;
constexpr size_t kLeastSide = 320, kMostSide = 1024;  // of the longer one
constexpr size_t kBarGrey = 128;

// Between which two tokens a place lies, and how near to the second.
struct Between {
  size_t first, second;
  float share;
};

Between between(double place, size_t tokens) {
  const double inside =
      std::clamp(place * static_cast<double>(tokens) - 0.5, 0.0, static_cast<double>(tokens - 1));
  const auto first = static_cast<size_t>(inside);
  return {first, std::min(first + 1, tokens - 1), static_cast<float>(inside - static_cast<double>(first))};
}

double middle(size_t pixel, size_t pixels) {
  return (static_cast<double>(pixel) + 0.5) / static_cast<double>(pixels);
}

// share: of the largest value, from -1 to 1.
void tint(float share, std::span<uint8_t> rgb) {
  const std::array<float, 3>& colour = share > 0 ? kFor : kAgainst;
  for (size_t c = 0; c < 3; ++c)
    rgb[c] = static_cast<uint8_t>(
        std::lround(std::lerp(static_cast<float>(rgb[c]), colour[c], kMostOpaque * std::abs(share))));
}

}  // namespace

float value_at(const MapGrid& map, double y, double x) {
  const Between row = between(y, map.rows), col = between(x, map.cols);
  const auto at = [&](size_t r, size_t c) { return map.values[r * map.cols + c]; };
  return std::lerp(std::lerp(at(row.first, col.first), at(row.first, col.second), col.share),
                   std::lerp(at(row.second, col.first), at(row.second, col.second), col.share), row.share);
}

Image canvas_of(const Image& image) {
  const size_t longer = std::max(image.width(), image.height());
  const size_t side = std::clamp(longer, kLeastSide, kMostSide);
  const auto scaled = [&](size_t length) { return std::max<size_t>(1, length * side / longer); };
  Image canvas =
      resize_bicubic(image, std::max(scaled(image.width()), kScaleBarLeastWidth), scaled(image.height()));
  canvas.set_provenance(image.shared_provenance());
  return canvas;
}

Image overlay(const Image& image, const MapGrid& map) {
  const Image base = canvas_of(image);
  const size_t width = base.width(), height = base.height();
  std::vector<uint8_t> pixels(width * (height + kScaleBarHeight) * 3, kBarGrey);
  std::ranges::copy(base.pixels(), pixels.begin());
  const Canvas drawn{width, height, std::span(pixels).first(width * height * 3)};
  float largest = 0;
  for (const float v : map.values) largest = std::max(largest, std::abs(v));
  for (size_t y = 0; y < height && largest > 0; ++y)
    for (size_t x = 0; x < width; ++x)
      tint(value_at(map, middle(y, height), middle(x, width)) / largest, drawn.at(x, y));
  draw_scale_bar({width, kScaleBarHeight, std::span(pixels).subspan(drawn.pixels.size())}, largest,
                 [](float share, std::span<uint8_t> rgb) {
                   std::ranges::fill(rgb, uint8_t{kBarGrey});
                   tint(share, rgb);
                 });
  return Image::from_rgb(width, height + kScaleBarHeight, pixels);
}

}  // namespace mii::maps
