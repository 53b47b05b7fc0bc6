#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

namespace mii::maps {

/// Rows of RGB, [height, width, 3], that are drawn on.
struct Canvas {
  size_t width = 0;
  size_t height = 0;
  std::span<uint8_t> pixels;

  std::span<uint8_t> at(size_t x, size_t y) const { return pixels.subspan((y * width + x) * 3, 3); }
};

constexpr size_t kScaleBarHeight = 28;
constexpr size_t kScaleBarLeastWidth = 160;

/// Fills a canvas of that height, and at least that width, with a bar of colours from -largest on the left
/// to largest on the right, and these numbers below it. colour: writes that of a share from -1 to 1.
void draw_scale_bar(const Canvas& canvas, float largest,
                    const std::function<void(float share, std::span<uint8_t> rgb)>& colour);

}  // namespace mii::maps
