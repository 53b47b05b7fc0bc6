#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "mii/image.h"

namespace mii {

/// Resizes to exactly width x height (aspect ratio not kept) with the bytes of Pillow's resize(BICUBIC).
/// Uses OpenMP's threads. Throws Error{invalid_argument} when either side is 0.
Image resize_bicubic(const Image& image, size_t width, size_t height);

struct ResizedDecode {
  size_t width = 0;
  size_t height = 0;
  DecodeOptions decode;
};

/// Image::decode and then resize_bicubic, with the same bytes, but faster: with two threads or more, rows are
/// resized while the next ones are still being decoded. Throws as those two do.
Image decode_resized(std::span<const std::byte> bytes, const ResizedDecode& options);

}  // namespace mii
