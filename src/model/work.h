#pragma once

#include "weights/config.h"

namespace mii {

/// Floating-point operations that one image needs: products of the convolutions, linear layers and attentions
/// of the real tokens (a multiply-add counts as two). Padding of windows is not counted.
double image_tower_operations(const ImageTowerConfig& config);

}  // namespace mii
