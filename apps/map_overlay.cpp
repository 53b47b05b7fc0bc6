#include "map_overlay.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

namespace mii {
namespace {

constexpr std::array<float, 3> kFor{220, 30, 20}, kAgainst{20, 70, 230};
constexpr float kMostOpaque = 0.65f;

// Between which two tokens a pixel lies, and how near to the second.
struct Between {
  size_t first, second;
  float share;
};

Between between(size_t pixel, size_t pixels, size_t tokens) {
  const float place =
      (static_cast<float>(pixel) + 0.5f) * static_cast<float>(tokens) / static_cast<float>(pixels) - 0.5f;
  const float inside = std::clamp(place, 0.0f, static_cast<float>(tokens - 1));
  const auto first = static_cast<size_t>(inside);
  return {first, std::min(first + 1, tokens - 1), inside - static_cast<float>(first)};
}

float value_at(const MapGrid& map, const Between& y, const Between& x) {
  const auto at = [&](size_t row, size_t col) { return map.values[row * map.cols + col]; };
  return std::lerp(std::lerp(at(y.first, x.first), at(y.first, x.second), x.share),
                   std::lerp(at(y.second, x.first), at(y.second, x.second), x.share), y.share);
}

}  // namespace

Image overlay(const Image& image, const MapGrid& map) {
  float largest = 0;
  for (const float v : map.values) largest = std::max(largest, std::abs(v));
  std::vector<uint8_t> pixels(image.pixels().begin(), image.pixels().end());
  for (size_t row = 0; row < image.height() && largest > 0; ++row)
    for (size_t col = 0; col < image.width(); ++col) {
      const float value =
          value_at(map, between(row, image.height(), map.rows), between(col, image.width(), map.cols));
      const float opacity = kMostOpaque * std::abs(value) / largest;
      for (size_t c = 0; c < 3; ++c) {
        uint8_t& pixel = pixels[(row * image.width() + col) * 3 + c];
        const float colour = (value > 0 ? kFor : kAgainst)[c];
        pixel = static_cast<uint8_t>(std::lround(std::lerp(static_cast<float>(pixel), colour, opacity)));
      }
    }
  return Image::from_rgb(image.width(), image.height(), pixels);
}

}  // namespace mii
