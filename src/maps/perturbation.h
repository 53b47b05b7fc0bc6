#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "mii/engine.h"

// Maps that know nothing of the model: what hiding parts of the image does to its scores. Slow, and the
// reference for those that are not.

namespace mii::maps {

struct PerturbationOptions {
  size_t masks = 2000;                        ///< of RISE
  uint64_t seed = 1;                          ///< of RISE's masks
  std::function<void(size_t more)> progress;  ///< hears how many more images were computed
  std::function<bool()> cancelled;            ///< true: Error{cancelled} before the next batch
};

/// Occlusion: a cell of the grid of the model's tokens is worth what the score loses when it is hidden.
/// directions: [K, D]; the scores are exact, the constants 0, and the maps do not add up to them.
TokenMaps occlusion_maps(const Engine& engine, const Image& image, const Matrix& directions,
                         const PerturbationOptions& options = {});

/// RISE (arXiv 1806.07421): a cell of a grid of 16 x 16 is worth the mean score of the images in which it is
/// seen. Masks are grids of 8 x 8, half of them seen, enlarged and shifted at random.
TokenMaps rise_maps(const Engine& engine, const Image& image, const Matrix& directions,
                    const PerturbationOptions& options = {});

/// What stands for hidden pixels: the mean colour of the model's training.
inline constexpr uint8_t kHidden[3] = {124, 116, 104};

}  // namespace mii::maps
