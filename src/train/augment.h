#pragma once

#include <cstddef>
#include <vector>

#include "train/picture.h"
#include "train/random.h"

namespace mii {

/// A picture in planes: red, green, blue; each [height, width], 0 to 1.
struct Planes {
  int width = 0;
  int height = 0;
  std::vector<float> values;

  Planes(int w, int h)
      : width(w), height(h), values(size_t{3} * static_cast<size_t>(w) * static_cast<size_t>(h)) {}
  size_t plane() const { return values.size() / 3; }
};

/// The picture at another size, bilinear.
Planes resized(const Picture& picture, int width, int height);

/// A random view of the picture that shows the same thing: a crop of 0.6 to 1 of the area, or in a third of
/// cases of 0.12 to 0.6, one geometric or photometric change of random strength (after TrivialAugmentWide,
/// Müller and Hutter 2021), and what tells sources apart but not modalities: sharpness, resolution, colour
/// cast, grey, grey-level window, inversion where there is no colour, field of view, border, noise; random
/// erasing. Never mirrored: left and right mean something. strength, 0 to 1: how much of all that.
Planes augmented(const Picture& picture, int width, int height, float strength, Random& random);

}  // namespace mii
