#include "calibration/calibrate.h"

#include <algorithm>
#include <cmath>

#include "backend/precision.h"
#include "backend/registry.h"
#include "calibration/smoothing.h"
#include "core/cosine.h"
#include "mii/error.h"
#include "model/davit.h"
#include "weights/checkpoint.h"

namespace mii {
namespace {

using Images = std::span<const std::span<const uint8_t>>;
using Vectors = std::vector<std::vector<float>>;

double mean_distance(const Vectors& a, const Vectors& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += cosine_distance(a[i], b[i]);
  return sum / static_cast<double>(a.size());
}

double largest_distance(const Vectors& a, const Vectors& b) {
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) largest = std::max(largest, cosine_distance(a[i], b[i]));
  return largest;
}

void expect_finite(const std::vector<float>& vector, Precision precision) {
  if (!std::ranges::all_of(vector, [](float v) { return std::isfinite(v); }))
    throw Error(ErrorCode::corrupt_weights,
                std::string("calibration: the model gave a vector that is not finite in ") +
                    to_string(precision) + ": its weights are beyond the range of float32");
}

// Where a GPU is, auto would be one, and has no int8. The reference would take days.
const BackendEntry& backend_with_int8() {
  for (const BackendEntry& entry : backends())
    if (entry.available() && entry.product_seconds != nullptr &&
        std::ranges::count(entry.precisions(), Precision::int8) > 0)
      return entry;
  throw Error(ErrorCode::unsupported, "this machine has no fast int8 to calibrate for");
}

// The images' vectors by a tower that is made anew each time.
class Computer {
 public:
  Computer(const ModelFolder& folder, int64_t vocabulary_size, Images images,
           const CalibrationOptions& options)
      : config_(ModelConfig::read(folder.config)),
        checkpoint_(Checkpoint::open(folder.weights, config_, vocabulary_size)),
        vocabulary_size_(vocabulary_size),
        images_(images),
        threads_(options.threads) {}

  Vectors vectors(Precision precision, const WeightReader::KeepFloat& keep_float) const {
    const auto backend = make_backend(precision);
    Davit tower(config_.image, WeightReader(checkpoint_, *backend, keep_float), *backend);
    Vectors vectors;
    for (const auto& image : images_) {
      vectors.emplace_back(static_cast<size_t>(config_.embedding_dim));
      backend->download(tower.embed(tower.tokens(image)), vectors.back());
      expect_finite(vectors.back(), precision);
    }
    return vectors;
  }

  ColumnFactors smoothing() const {
    const auto backend = make_backend(Precision::f32);
    Davit tower(config_.image, WeightReader(checkpoint_, *backend), *backend);
    Smoothing smoothing(checkpoint_, *backend);
    for (const auto& image : images_)
      tower.tokens(image, [&](std::string_view module, ConstRows x) { smoothing.see(module, x); });
    return smoothing.factors();
  }

  void scale_columns(ColumnFactors factors) { checkpoint_.scale_columns(std::move(factors)); }

  std::vector<std::string> layers() const {
    std::vector<std::string> names;
    for (const TensorSpec& spec : tensor_specs(config_, vocabulary_size_))
      if (is_int8_layer(spec) && spec.name.starts_with("image_encoder.")) names.push_back(spec.name);
    return names;
  }

 private:
  std::unique_ptr<Backend> make_backend(Precision precision) const {
    auto backend = backend_with_int8().make({.precision = precision, .threads = threads_});
    backend->attach_thread();
    return backend;
  }

  ModelConfig config_;
  Checkpoint checkpoint_;
  int64_t vocabulary_size_;
  Images images_;
  int threads_;
};

class Calibrator {
 public:
  Calibrator(Computer& computer, const CalibrationOptions& options)
      : computer_(computer), options_(options), names_(computer.layers()) {
    size_t halvings = 1;
    while ((size_t{1} << halvings) <= names_.size()) ++halvings;
    all_ = names_.size() + halvings + (options.smooth ? 5 : 3);
  }

  Calibration run() {
    exact_ = computed(Precision::f32, {});
    const Vectors floats = computed(Precision::int8, [](const std::string&) { return true; });
    result_.distance_unsmoothed = result_.distance_of_all = distance_without({});
    if (options_.smooth) smooth();
    measure_layers(floats);
    result_.distance = result_.distance_of_all;
    if (result_.distance > options_.max_distance) choose(largest_distance(floats, exact_));
    return std::move(result_);
  }

 private:
  Vectors computed(Precision precision, const WeightReader::KeepFloat& keep_float) {
    Vectors vectors = computer_.vectors(precision, keep_float);
    tell();
    return vectors;
  }

  void tell() {
    if (options_.progress) options_.progress(++done_, all_);
  }

  void smooth() {
    result_.column_factors = computer_.smoothing();
    tell();
    computer_.scale_columns(result_.column_factors);
    result_.distance_of_all = distance_without({});
    if (result_.distance_of_all < result_.distance_unsmoothed) return;
    result_.distance_of_all = result_.distance_unsmoothed;
    result_.column_factors.clear();
    computer_.scale_columns({});
  }

  void measure_layers(const Vectors& floats) {
    for (const std::string& name : names_) {
      const Vectors with = computed(Precision::int8, [&](const std::string& other) { return other != name; });
      result_.layers.push_back({name, std::max(0.0, mean_distance(with, floats))});
    }
    std::ranges::stable_sort(result_.layers, std::ranges::greater(), &LayerError::distance);
  }

  std::set<std::string> worst(size_t n) const {
    std::set<std::string> names;
    for (size_t i = 0; i < n; ++i) names.insert(result_.layers[i].name);
    return names;
  }

  double distance_without(const std::set<std::string>& kept) {
    return largest_distance(
        computed(Precision::int8, [&](const std::string& name) { return kept.contains(name); }), exact_);
  }

  // By halving: the more layers stay in floats, the smaller is the distance. of_floats: with all of them.
  void choose(double of_floats) {
    size_t too_few = 0, enough = result_.layers.size();
    result_.distance = of_floats;
    if (result_.distance > options_.max_distance)
      throw Error(ErrorCode::invalid_argument,
                  "the largest distance may be " + std::to_string(options_.max_distance) +
                      ", but floats alone have " + std::to_string(result_.distance));
    while (enough - too_few > 1) {
      const size_t middle = too_few + (enough - too_few) / 2;
      const double distance = distance_without(worst(middle));
      if (distance > options_.max_distance) {
        too_few = middle;
      } else {
        enough = middle;
        result_.distance = distance;
      }
    }
    result_.float_layers = worst(enough);
  }

  Computer& computer_;
  const CalibrationOptions& options_;
  std::vector<std::string> names_;
  size_t all_ = 0;
  size_t done_ = 0;
  Vectors exact_;
  Calibration result_;
};

}  // namespace

Calibration calibrate(const ModelFolder& folder, int64_t vocabulary_size, Images images,
                      const CalibrationOptions& options) {
  if (images.empty())
    throw Error(ErrorCode::invalid_argument, "calibration without images: at least one is needed");
  if (!(options.max_distance > 0))
    throw Error(ErrorCode::invalid_argument, "the largest distance may be " +
                                                 std::to_string(options.max_distance) +
                                                 ", expected a number above 0");
  Computer computer(folder, vocabulary_size, images, options);
  return Calibrator(computer, options).run();
}

}  // namespace mii
