#pragma once

#include <string>
#include <vector>

#include "mii/image.h"

namespace mii {

/// Ways to store the same image that should not change a model's answer.
enum class Alteration {
  grey,      ///< luma in all three channels
  inverted,  ///< 255 - v, as a MONOCHROME1 file shown the wrong way: of images without colour only
  border,    ///< a black frame of a fifth of the width and height on each side
  jpeg,      ///< encoded as JPEG of quality 30
  small,     ///< 64 x 64 pixels
  large,     ///< longest side 1000 pixels
};

const std::vector<Alteration>& all_alterations();
std::string to_string(Alteration alteration);

/// Whether there are such copies of the image.
bool applies(Alteration alteration, const Image& image);

Image altered(const Image& image, Alteration alteration);

}  // namespace mii
