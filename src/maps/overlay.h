#pragma once

#include <cstddef>
#include <span>

#include "mii/image.h"

namespace mii::maps {

/// A grid of values over an image, row-major.
struct MapGrid {
  size_t rows = 0;
  size_t cols = 0;
  std::span<const float> values;
};

/// The value at a place, from 0 to 1 each way, between the tokens' middles; beyond the outermost ones theirs.
float value_at(const MapGrid& map, double y, double x);

/// The image in the size in which overlays are drawn: its longer side is made 320 to 1024 pixels long. Keeps
/// the provenance.
Image canvas_of(const Image& image);

/// The canvas of the image with the map over it, and below it a bar that says which colour is how much: what
/// speaks for the score is red, what speaks against it is blue, and the less it says the more the image
/// shows through.
Image overlay(const Image& image, const MapGrid& map);

}  // namespace mii::maps
