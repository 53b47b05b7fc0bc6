#pragma once

#include <cstddef>
#include <vector>

#include "train/picture.h"
#include "train/random.h"

namespace mii {

/// An image in planes: red, green, blue; each [height, width], 0 to 1.
struct Planes {
  int width = 0;
  int height = 0;
  std::vector<float> values;

  Planes(int w, int h)
      : width(w), height(h), values(size_t{3} * static_cast<size_t>(w) * static_cast<size_t>(h)) {}
  size_t plane() const { return values.size() / 3; }
};

/// How the views of a batch's images are made.
struct View {
  int width = 0;
  int height = 0;
  float strength = 1;  ///< how strongly and how often augmented() changes an image, 0 to 1
  float grey = 0.5f;   ///< how often an image of three channels loses its colour
};

/// The image at another size, bilinear.
Planes resized(const Picture& picture, int width, int height);

/// A random view of the image that shows the same thing. It covers 0.6 to 1 of the area; a quarter of the
/// views are close, at 0.12 to 0.6, and three in ten are from afar, at up to five times the area, where the
/// image is mirrored at its edges. Half of the views leave out the black margins. Then come one geometric or
/// photometric change of random strength (after TrivialAugmentWide, Müller and Hutter 2021), changes that
/// tell sources apart but not modalities (sharpness, resolution, a colour cast on coloured images, inversion
/// of others, grey, grey-level window, field of view, border, noise), and random erasing. The view as a whole
/// is never mirrored: left and right mean something.
Planes augmented(const Picture& picture, const View& view, Random& random);

}  // namespace mii
