#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "mii/image.h"

namespace mii {

/// Paints grey values of 16 bits as RGB. rgb: 3 * grey.size() bytes.
void grey16_to_rgb(std::span<const uint16_t> grey, Grey16 rule, uint8_t* rgb);

/// Pillow's CMYK to RGB, without a colour profile: 255 - k - c * (255 - k) / 255.
/// cmyk: [pixels, 4] with 0 = no ink. rgb: [pixels, 3].
void cmyk_to_rgb(const uint8_t* cmyk, size_t pixels, uint8_t* rgb);

}  // namespace mii
