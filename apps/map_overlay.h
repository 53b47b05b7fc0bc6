#pragma once

#include <span>

#include "mii/image.h"

namespace mii {

/// A grid of token parts, row-major.
struct MapGrid {
  size_t rows = 0;
  size_t cols = 0;
  std::span<const float> values;
};

/// The image with the map over it: what speaks for the score is red, what speaks against it is blue, and the
/// less it says the more the image shows through.
Image overlay(const Image& image, const MapGrid& map);

}  // namespace mii
