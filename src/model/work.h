#pragma once

#include <cstdint>
#include <map>

#include "backend/product_shape.h"
#include "weights/config.h"

namespace mii {

/// Floating-point operations that one image needs: products of the convolutions, linear layers and attentions
/// of the real tokens (a multiply-add counts as two). Padding of windows is not counted.
double image_tower_operations(const ImageTowerConfig& config);

/// Its products with the weights of layers for so many images, and how often each is computed.
std::map<ProductShape, int64_t> image_tower_products(const ImageTowerConfig& config, int64_t images);

}  // namespace mii
