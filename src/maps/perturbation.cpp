#include "maps/perturbation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <random>
#include <vector>

#include "image/preprocess.h"
#include "mii/error.h"

namespace mii::maps {
namespace {

// How much of each pixel is seen, from 0 to 1. [height, width]
using Visibility = std::function<float(size_t y, size_t x)>;

Image hidden(const Image& image, const Visibility& seen) {
  std::vector<uint8_t> pixels(image.pixels().begin(), image.pixels().end());
  for (size_t y = 0; y < image.height(); ++y)
    for (size_t x = 0; x < image.width(); ++x) {
      const float share = seen(y, x);
      for (size_t c = 0; c < 3; ++c) {
        uint8_t& pixel = pixels[(y * image.width() + x) * 3 + c];
        pixel = static_cast<uint8_t>(
            std::lround(std::lerp(static_cast<float>(kHidden[c]), static_cast<float>(pixel), share)));
      }
    }
  return Image::from_rgb(image.width(), image.height(), pixels);
}

double score(std::span<const float> vector, std::span<const float> direction) {
  return std::inner_product(vector.begin(), vector.end(), direction.begin(), 0.0);
}

/// Computes many alterations of one image in the engine's batches.
class Alterations {
 public:
  Alterations(const Engine& engine, const Matrix& directions, const PerturbationOptions& options)
      : engine_(engine), directions_(directions), options_(options) {
    if (directions.cols() != engine.info().embedding_dim)
      throw Error(ErrorCode::invalid_argument,
                  "directions of " + std::to_string(directions.cols()) + " values, expected " +
                      std::to_string(engine.info().embedding_dim) + " as of the model's vectors");
  }

  /// Calls take with the vector of each of the n images that make gives.
  void run(size_t n, const std::function<Image(size_t)>& make,
           const std::function<void(size_t, std::span<const float>)>& take) const {
    for (size_t first = 0; first < n; first += engine_.image_batch()) {
      if (options_.cancelled && options_.cancelled()) throw Error(ErrorCode::cancelled, "cancelled");
      const size_t some = std::min(engine_.image_batch(), n - first);
      std::vector<Image> images;
      for (size_t i = 0; i < some; ++i) images.push_back(make(first + i));
      const Matrix vectors = engine_.encode_images(images);
      for (size_t i = 0; i < some; ++i) take(first + i, vectors.row(i));
      if (options_.progress) options_.progress(some);
    }
  }

  TokenMaps maps_of(const Image& image, size_t rows, size_t cols) const {
    TokenMaps maps{.rows = rows, .cols = cols, .maps = Matrix(directions_.rows(), rows * cols)};
    maps.constants.resize(directions_.rows());
    const Matrix whole = engine_.encode_images({&image, 1});
    for (size_t k = 0; k < directions_.rows(); ++k)
      maps.scores.push_back(score(whole.row(0), directions_.row(k)));
    return maps;
  }

 private:
  const Engine& engine_;
  const Matrix& directions_;
  const PerturbationOptions& options_;
};

/// A mask of RISE: kCells x kCells cells that are seen or not, one more on each side for the shift.
class RiseMask {
 public:
  static constexpr size_t kCells = 8;

  explicit RiseMask(std::mt19937_64& random) {
    for (float& cell : cells_) cell = static_cast<float>(random() & 1);
    shift_y_ = unit(random);
    shift_x_ = unit(random);
  }

  /// At a place of the image, from 0 to 1 each way.
  float seen(float y, float x) const {
    const float row = y * kCells + shift_y_, col = x * kCells + shift_x_;
    const auto top = static_cast<size_t>(row), left = static_cast<size_t>(col);
    const float down = row - static_cast<float>(top), right = col - static_cast<float>(left);
    const auto at = [&](size_t r, size_t c) {
      return cells_[std::min(r, kSide - 1) * kSide + std::min(c, kSide - 1)];
    };
    return std::lerp(std::lerp(at(top, left), at(top, left + 1), right),
                     std::lerp(at(top + 1, left), at(top + 1, left + 1), right), down);
  }

 private:
  static constexpr size_t kSide = kCells + 2;

  static float unit(std::mt19937_64& random) { return static_cast<float>(random() >> 40) / (1 << 24); }

  std::array<float, kSide * kSide> cells_{};
  float shift_y_ = 0, shift_x_ = 0;
};

float middle(size_t place, size_t places) {
  return (static_cast<float>(place) + 0.5f) / static_cast<float>(places);
}

// The image as the tower sees it.
Image input_of(const Engine& engine, const Image& image) {
  return resize_bicubic(image, engine.info().image_width, engine.info().image_height);
}

}  // namespace

TokenMaps occlusion_maps(const Engine& engine, const Image& image, const Matrix& directions,
                         const PerturbationOptions& options) {
  const Alterations alterations(engine, directions, options);
  const Image input = input_of(engine, image);
  const size_t rows = engine.info().token_rows, cols = engine.info().token_cols;
  TokenMaps maps = alterations.maps_of(input, rows, cols);
  alterations.run(
      rows * cols,
      [&](size_t cell) {
        return hidden(input, [&](size_t y, size_t x) {
          return y * rows / input.height() * cols + x * cols / input.width() == cell ? 0.0f : 1.0f;
        });
      },
      [&](size_t cell, std::span<const float> vector) {
        for (size_t k = 0; k < directions.rows(); ++k)
          maps.maps.row(k)[cell] = static_cast<float>(maps.scores[k] - score(vector, directions.row(k)));
      });
  return maps;
}

TokenMaps rise_maps(const Engine& engine, const Image& image, const Matrix& directions,
                    const PerturbationOptions& options) {
  constexpr size_t kSide = 2 * RiseMask::kCells;
  const Alterations alterations(engine, directions, options);
  const Image input = input_of(engine, image);
  TokenMaps maps = alterations.maps_of(input, kSide, kSide);
  std::mt19937_64 random(options.seed);
  std::vector<RiseMask> masks;
  for (size_t m = 0; m < options.masks; ++m) masks.emplace_back(random);
  std::vector<double> seen(kSide * kSide);
  std::vector<double> sums(directions.rows() * seen.size());
  alterations.run(
      masks.size(),
      [&](size_t m) {
        return hidden(input, [&](size_t y, size_t x) {
          return masks[m].seen(middle(y, input.height()), middle(x, input.width()));
        });
      },
      [&](size_t m, std::span<const float> vector) {
        std::vector<double> scores;
        for (size_t k = 0; k < directions.rows(); ++k) scores.push_back(score(vector, directions.row(k)));
        for (size_t cell = 0; cell < seen.size(); ++cell) {
          const double share = masks[m].seen(middle(cell / kSide, kSide), middle(cell % kSide, kSide));
          seen[cell] += share;
          for (size_t k = 0; k < scores.size(); ++k) sums[k * seen.size() + cell] += share * scores[k];
        }
      });
  for (size_t k = 0; k < directions.rows(); ++k)
    for (size_t cell = 0; cell < seen.size(); ++cell)
      maps.maps.row(k)[cell] =
          seen[cell] > 0 ? static_cast<float>(sums[k * seen.size() + cell] / seen[cell]) : 0;
  return maps;
}

}  // namespace mii::maps
