#pragma once

#include <cstddef>
#include <vector>

#include "mii/image.h"

namespace mii {

/// A PNG of 8-bit RGB.
std::vector<std::byte> encode_png(const Image& image);

}  // namespace mii
