#pragma once

#include <cstddef>
#include <vector>

#include "mii/image.h"

namespace mii {

/// A baseline JPEG; of one channel when every pixel is grey. quality is libjpeg's, 1 to 100.
std::vector<std::byte> encode_jpeg(const Image& image, int quality);

}  // namespace mii
