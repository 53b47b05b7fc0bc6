#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "mii/image.h"

namespace mii {

/// Resizes to exactly width x height (aspect ratio not kept) with the bytes of Pillow's resize(BICUBIC).
/// Uses OpenMP's threads. Throws Error{invalid_argument} when either side is 0.
Image resize_bicubic(const Image& image, size_t width, size_t height);

}  // namespace mii
