#include "image/colour.h"

#include <algorithm>
#include <vector>

namespace mii {
namespace {

void paint_grey(std::span<const uint16_t> grey, uint16_t low, std::span<const uint8_t> shade_of,
                uint8_t* rgb) {
  for (const uint16_t value : grey) {
    const uint8_t shade = shade_of[static_cast<size_t>(value - low)];
    *rgb++ = shade;
    *rgb++ = shade;
    *rgb++ = shade;
  }
}

std::vector<uint8_t> minmax_shades(uint32_t range) {
  std::vector<uint8_t> shades(range + 1, 0);
  for (uint32_t i = 1; i <= range; ++i) shades[i] = static_cast<uint8_t>((i * 255 + range / 2) / range);
  return shades;
}

std::vector<uint8_t> high_byte_shades() {
  std::vector<uint8_t> shades(65536);
  for (size_t i = 0; i < shades.size(); ++i) shades[i] = static_cast<uint8_t>(i >> 8);
  return shades;
}

// a * b / 255, rounded as Pillow rounds it.
uint32_t multiply_255(uint32_t a, uint32_t b) {
  const uint32_t product = a * b + 128;
  return ((product >> 8) + product) >> 8;
}

}  // namespace

void grey16_to_rgb(std::span<const uint16_t> grey, Grey16 rule, uint8_t* rgb) {
  if (rule == Grey16::high_byte) return paint_grey(grey, 0, high_byte_shades(), rgb);
  const auto [low, high] = std::ranges::minmax(grey);
  paint_grey(grey, low, minmax_shades(static_cast<uint32_t>(high - low)), rgb);
}

void cmyk_to_rgb(const uint8_t* cmyk, size_t pixels, uint8_t* rgb) {
  for (size_t i = 0; i < pixels; ++i, cmyk += 4, rgb += 3) {
    const uint32_t light = 255u - cmyk[3];
    for (size_t c = 0; c < 3; ++c) {
      // The rounded product never exceeds light, so there is nothing to clip.
      rgb[c] = static_cast<uint8_t>(light - multiply_255(cmyk[c], light));
    }
  }
}

}  // namespace mii
