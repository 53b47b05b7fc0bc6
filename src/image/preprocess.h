#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "mii/image.h"

namespace mii {

/// Resizes to exactly width x height (aspect ratio not kept) with the bytes of Pillow's resize(BICUBIC).
/// Uses OpenMP's threads. Throws Error{invalid_argument} when either side is 0.
Image resize_bicubic(const Image& image, size_t width, size_t height);

struct Normalisation {
  std::array<float, 3> mean{};
  std::array<float, 3> std{};
};

/// (x / 255 - mean) / std in float32, in torchvision's order of operations.
/// pixels and out: [height, width, 3]. Throws Error{invalid_argument} when their sizes differ. Pure.
void normalise(std::span<const uint8_t> pixels, const Normalisation& normalisation, std::span<float> out);

}  // namespace mii
