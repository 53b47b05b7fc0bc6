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

/// How the views of a batch's pictures are made.
struct View {
  int width = 0;
  int height = 0;
  float strength = 1;  ///< of what augmented() does, 0 to 1: how much and how often
  float grey = 0.5f;   ///< how often a picture in three channels loses its colour
};

/// The picture at another size, bilinear.
Planes resized(const Picture& picture, int width, int height);

/// A random view of the picture that shows the same thing: 0.6 to 1 of its area, in a quarter of cases a
/// close look at 0.12 to 0.6, in three of ten a look from afar at up to five times the area, where the
/// picture is mirrored; in half of them without the black margins; one geometric or photometric change of
/// random strength (after TrivialAugmentWide, Müller and Hutter 2021), and what tells sources apart but not
/// modalities: sharpness, resolution, colour cast and inversion (of coloured pictures the one, of others the
/// other), grey, grey-level window, field of view, border, noise; random erasing. The view as a whole is
/// never mirrored: left and right mean something.
Planes augmented(const Picture& picture, const View& view, Random& random);

}  // namespace mii
