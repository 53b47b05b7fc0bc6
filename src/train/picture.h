#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace mii {

/// A decoded training image.
struct Picture {
  int width = 0;
  int height = 0;
  int channels = 0;             ///< 1 or 3
  std::vector<uint8_t> values;  ///< [height, width, channels]
};

/// Throws Error{invalid_image} for what is no grey or RGB JPEG.
Picture decode_jpeg(std::span<const std::byte> jpeg);

}  // namespace mii
