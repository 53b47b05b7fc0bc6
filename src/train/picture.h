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

/// Throws Error{invalid_image} for anything but a grey or colour JPEG, and for one that is damaged, cut
/// short, or larger than 16 Mi pixels.
Picture decode_jpeg(std::span<const std::byte> jpeg);

}  // namespace mii
