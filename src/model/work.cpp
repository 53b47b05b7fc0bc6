#include "model/work.h"

#include <algorithm>

namespace mii {
namespace {

// Sum over the windows along one side of f(tokens in the window).
double sum_of_squares_of_windows(int64_t side, int64_t window) {
  double sum = 0;
  for (int64_t at = 0; at < side; at += window) {
    const auto n = static_cast<double>(std::min(window, side - at));
    sum += n * n;
  }
  return sum;
}

}  // namespace

double image_tower_operations(const ImageTowerConfig& config) {
  const std::vector<Grid> grids = stage_grids(config);
  double operations = 0;
  double in = 3;
  for (size_t s = 0; s < config.stages.size(); ++s) {
    const StageConfig& stage = config.stages[s];
    const auto n = static_cast<double>(grids[s].tokens());
    const auto c = static_cast<double>(stage.dim);
    const auto patch = static_cast<double>(stage.patch_size);
    operations += 2 * n * c * patch * patch * in;
    const double linear = 2 * n * 12 * c * c;  // qkv 3, proj 1, feed-forward 8
    const double depthwise = 2 * n * c * 9 * ((config.conv_at_attn ? 1 : 0) + (config.conv_at_ffn ? 1 : 0));
    const double windows = 4 * c * sum_of_squares_of_windows(grids[s].height, config.window_size) *
                           sum_of_squares_of_windows(grids[s].width, config.window_size);
    const double channels = 4 * n * c * c / static_cast<double>(stage.groups);
    operations += static_cast<double>(stage.depth) * (2 * (linear + depthwise) + windows + channels);
    in = c;
  }
  return operations;
}

std::map<ProductShape, int64_t> image_tower_products(const ImageTowerConfig& config, int64_t images) {
  const std::vector<Grid> grids = stage_grids(config);
  std::map<ProductShape, int64_t> products;
  int64_t in = 3;
  for (size_t s = 0; s < config.stages.size(); ++s) {
    const StageConfig& stage = config.stages[s];
    const int64_t rows = images * grids[s].tokens(), c = stage.dim, blocks = 2 * stage.depth;
    products[{rows, stage.patch_size * stage.patch_size * in, c}] += 1;
    products[{rows, c, 3 * c}] += blocks;
    products[{rows, c, c}] += blocks;
    products[{rows, c, 4 * c}] += blocks;
    products[{rows, 4 * c, c}] += blocks;
    in = c;
  }
  return products;
}

}  // namespace mii
