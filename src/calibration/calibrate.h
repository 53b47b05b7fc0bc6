#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "weights/checkpoint.h"
#include "weights/model_folder.h"

namespace mii {

struct CalibrationOptions {
  /// The largest cosine distance from f32 that an image of the set may keep.
  double max_distance = 1e-3;
  /// Moves factors on channels from norms into the weights that read them, where that lessens the largest
  /// distance.
  bool smooth = false;
  int threads = 0;  ///< of a computation; 0 takes every core that this process may use
  /// Told how many computations of the whole set are done, of how many at the most.
  std::function<void(size_t done, size_t all)> progress;
};

/// What int8 does to one layer of the image tower.
struct LayerError {
  std::string name;     ///< of its weights
  double distance = 0;  ///< cosine distance, the mean of the images, when this layer alone is int8
};

struct Calibration {
  /// The largest distance of the images with every layer in int8: as the model is, and smoothed (the same
  /// where it is not).
  double distance_unsmoothed = 0;
  double distance_of_all = 0;
  ColumnFactors column_factors;        ///< on the weights, when they are smoothed
  std::vector<LayerError> layers;      ///< then; the largest error first
  double distance = 0;                 ///< the largest without float_layers
  std::set<std::string> float_layers;  ///< the worst, which must stay in floats
};

/// Measures on images which layers of a model's image tower lose too much in int8, and chooses the fewest of
/// the worst that have to stay in floats so that no image is further from f32 than max_distance. The text
/// tower is not looked at. images: each [height * width * 3] bytes of RGB of the model's size.
/// Throws Error{invalid_argument} for no images, for a distance that is not above 0, and when even floats do
/// not keep it, and for weights to smooth that are int8; Error{corrupt_weights} when a vector is not finite;
/// Error{unsupported} where the machine has no fast int8.
Calibration calibrate(const ModelFolder& folder, int64_t vocabulary_size,
                      std::span<const std::span<const uint8_t>> images, const CalibrationOptions& options);

}  // namespace mii
