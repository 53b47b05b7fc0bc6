#include "eval/map_measures.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <set>

#include "core/reason.h"
#include "eval/map_games.h"
#include "image/preprocess.h"
#include "maps/perturbation.h"
#include "mii/error.h"

namespace mii {
namespace {

constexpr size_t kSteps = 8;  // of a curve
constexpr size_t kSide = 16;  // places of a curve, each way
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

struct Map {
  size_t rows = 0;
  size_t cols = 0;
  std::vector<float> values;

  maps::MapGrid grid() const { return {rows, cols, values}; }
};

/// Of an image as the model sees it, a map for each label.
struct Method {
  std::string name;
  std::function<std::vector<Map>(const Image& image)> maps;
  bool only_in_game = false;
};

/// Images and what is true of them.
struct Labelled {
  std::vector<std::string> labels;
  std::vector<std::vector<size_t>> rows;  // of each label
};

Labelled by_label(const Manifest& manifest, const std::string& field) {
  if (!manifest.has(field))
    throw Error(ErrorCode::invalid_argument, "the manifest has no column '" + field + "'");
  std::map<std::string, std::vector<size_t>> found;
  for (size_t row = 0; row < manifest.rows(); ++row)
    if (!manifest.at(row, field).empty()) found[manifest.at(row, field)].push_back(row);
  if (found.size() < 2)
    throw Error(ErrorCode::invalid_argument, "column '" + field + "' has " + std::to_string(found.size()) +
                                                 " labels: maps are compared between two at the least");
  Labelled labelled;
  for (auto& [label, rows] : found) {
    labelled.labels.push_back(label);
    labelled.rows.push_back(std::move(rows));
  }
  return labelled;
}

std::vector<Map> centred_maps(const TokenMaps& maps) {
  std::vector<Map> all;
  for (size_t k = 0; k < maps.maps.rows(); ++k) all.push_back({maps.rows, maps.cols, maps.centred(k)});
  return all;
}

std::vector<Map> plain_maps(const TokenMaps& maps) {
  std::vector<Map> all;
  for (size_t k = 0; k < maps.maps.rows(); ++k) {
    const std::span<const float> values = maps.maps.row(k);
    all.push_back({maps.rows, maps.cols, {values.begin(), values.end()}});
  }
  return all;
}

// The same map for each label, from a value of each place.
std::vector<Map> same_maps(size_t labels, const std::function<float(size_t y, size_t x)>& value) {
  Map map{kSide, kSide, std::vector<float>(kSide * kSide)};
  for (size_t i = 0; i < map.values.size(); ++i) map.values[i] = value(i / kSide, i % kSide);
  return std::vector<Map>(labels, map);
}

float from_centre(size_t place) { return static_cast<float>(place) - (kSide - 1) / 2.0f; }

/// Runs all trials.
class Measurement {
 public:
  Measurement(const Engine& engine, const Engine& shuffled, const Manifest& manifest,
              const MapMeasureOptions& options, std::vector<pipeline::Failure>& failures)
      : engine_(engine),
        manifest_(manifest),
        options_(options),
        failures_(failures),
        labelled_(by_label(manifest, options.field)),
        head_(engine.zero_shot_head(labelled_.labels)),
        contrasted_(contrasted(head_.label_vectors())),
        random_(options.seed) {
    const auto of_model = [this](const Engine& model) {
      return [this, splitter = model.splitter(contrasted_), &model](const Image& image) {
        return centred_maps(splitter.split(model.encode_image_tokens(image)));
      };
    };
    const size_t labels = labelled_.labels.size();
    methods_.push_back({"map", of_model(engine)});
    methods_.push_back(
        {"parts", [this, splitter = engine.splitter(head_.label_vectors())](const Image& image) {
           const TokenMaps maps = splitter.split(engine_.encode_image_tokens(image));
           for (size_t k = 0; k < maps.maps.rows(); ++k)
             completeness_ = std::max(completeness_, maps.completeness_error(k));
           return plain_maps(maps);
         }});
    methods_.push_back({"gradient", [this](const Image& image) {
                          return centred_maps(engine_.gradient_maps(
                              engine_.encode_image_tokens(image, TokenStage::before_last), contrasted_));
                        }});
    methods_.push_back({"occlusion", [this](const Image& image) {
                          return centred_maps(maps::occlusion_maps(engine_, image, contrasted_));
                        }});
    methods_.push_back(
        {"RISE", [this](const Image& image) {
           return centred_maps(maps::rise_maps(
               engine_, image, contrasted_,
               {.masks = options_.rise_masks, .seed = options_.seed, .cancelled = options_.cancelled}));
         }});
    methods_.push_back({"random", [this, labels](const Image&) {
                          return same_maps(labels, [this](size_t, size_t) {
                            return static_cast<float>(random_() >> 40) / (1 << 24) - 0.5f;
                          });
                        }});
    methods_.push_back({"centre", [labels](const Image&) {
                          return same_maps(labels, [](size_t y, size_t x) {
                            return static_cast<float>(kSide) / 2 - std::hypot(from_centre(y), from_centre(x));
                          });
                        }});
    methods_.push_back({"map, weights shuffled", of_model(shuffled), true});
    for (const Method& method : methods_) sums_.push_back({.figures = {.method = method.name}});
  }

  MapReport run() {
    MapReport report{.field = options_.field, .cells = cells()};
    for (size_t n = 0; n < options_.canvases; ++n) {
      if (play()) ++report.canvases;
      tell();
    }
    for (size_t n = 0; n < options_.images; ++n) {
      if (draw_curves()) ++report.images;
      tell();
    }
    if (manifest_.has("mask")) measure_masks(report);
    report.completeness = completeness_;
    for (Sums& sums : sums_) report.methods.push_back(sums.means());
    return report;
  }

 private:
  struct Sums {
    MapFigures figures;
    size_t labels = 0, curves = 0, masks = 0;

    MapFigures means() const {
      const auto over = [](double sum, size_t n) { return n == 0 ? kNone : sum / static_cast<double>(n); };
      return {figures.method,
              over(figures.energy, labels),
              over(figures.twice_chance, labels),
              over(figures.pointing, labels),
              over(figures.deletion, curves),
              over(figures.insertion, curves),
              over(figures.in_mask, masks)};
    }
  };

  size_t cells() const { return labelled_.labels.size() < 4 ? 2 : 4; }
  size_t below(size_t n) { return static_cast<size_t>(random_() % n); }

  void tell() const {
    if (options_.cancelled && options_.cancelled()) throw Error(ErrorCode::cancelled, "cancelled");
    if (options_.progress) options_.progress(1);
  }

  std::optional<Image> read(size_t row) {
    try {
      return Image::read(manifest_.path(row));
    } catch (const std::exception& error) {
      if (told_.insert(row).second) failures_.push_back({manifest_.path(row).string(), reason_of(error)});
      return std::nullopt;
    }
  }

  // Some of the labels, each once, in any order.
  std::vector<size_t> draw_labels() {
    std::vector<size_t> labels(labelled_.labels.size());
    for (size_t k = 0; k < labels.size(); ++k) labels[k] = k;
    for (size_t i = 0; i < cells(); ++i) std::swap(labels[i], labels[i + below(labels.size() - i)]);
    labels.resize(cells());
    return labels;
  }

  // An image of each label beside the others. Nothing when one cannot be read.
  std::optional<Image> canvas_of(const std::vector<size_t>& labels) {
    const size_t width = engine_.info().image_width, height = engine_.info().image_height;
    const size_t down = labels.size() / 2, cell_width = width / 2, cell_height = height / down;
    std::vector<uint8_t> pixels(width * height * 3);
    for (size_t i = 0; i < labels.size(); ++i) {
      const std::vector<size_t>& rows = labelled_.rows[labels[i]];
      const std::optional<Image> image = read(rows[below(rows.size())]);
      if (!image) return std::nullopt;
      const Image cell = resize_bicubic(*image, cell_width, cell_height);
      for (size_t y = 0; y < cell_height; ++y)
        std::ranges::copy(cell.pixels().subspan(y * cell_width * 3, cell_width * 3),
                          pixels.begin() + static_cast<std::ptrdiff_t>(
                                               ((i / 2 * cell_height + y) * width + i % 2 * cell_width) * 3));
    }
    return Image::from_rgb(width, height, pixels);
  }

  bool play() {
    const std::vector<size_t> labels = draw_labels();
    const std::optional<Image> canvas = canvas_of(labels);
    if (!canvas) return false;
    const PartOf part_of = grid_parts(labels.size() / 2, 2);
    for (size_t m = 0; m < methods_.size(); ++m) {
      const std::vector<Map> maps = methods_[m].maps(*canvas);
      for (size_t cell = 0; cell < labels.size(); ++cell) {
        const maps::MapGrid map = maps[labels[cell]].grid();
        const double energy = energy_in(map, part_of, cell);
        MapFigures& figures = sums_[m].figures;
        figures.energy += energy;
        figures.twice_chance += energy * static_cast<double>(labels.size()) >= 2;
        figures.pointing += highest_part(map, part_of) == cell;
        ++sums_[m].labels;
      }
    }
    return true;
  }

  // The image with some of its places hidden.
  static Image with_places(const Image& image, const std::vector<uint8_t>& hidden) {
    std::vector<uint8_t> pixels(image.pixels().begin(), image.pixels().end());
    for (size_t y = 0; y < image.height(); ++y)
      for (size_t x = 0; x < image.width(); ++x)
        if (hidden[y * kSide / image.height() * kSide + x * kSide / image.width()])
          std::ranges::copy(maps::kHidden,
                            pixels.begin() + static_cast<std::ptrdiff_t>((y * image.width() + x) * 3));
    return Image::from_rgb(image.width(), image.height(), pixels);
  }

  // The image while places are hidden in this order, from whole to nothing, and while they alone are shown.
  std::vector<Image> altered(const Image& image, const std::vector<size_t>& order) const {
    std::vector<Image> images;
    for (const bool deleting : {true, false})
      for (size_t step = 0; step <= kSteps; ++step) {
        std::vector<uint8_t> hidden(order.size(), !deleting);
        for (size_t i = 0; i < order.size() * step / kSteps; ++i) hidden[order[i]] = deleting;
        images.push_back(with_places(image, hidden));
      }
    return images;
  }

  // The image as the tower sees it.
  Image input_of(const Image& image) const {
    return resize_bicubic(image, engine_.info().image_width, engine_.info().image_height);
  }

  bool draw_curves() {
    const size_t label = below(labelled_.labels.size());
    const std::vector<size_t>& rows = labelled_.rows[label];
    const std::optional<Image> image = read(rows[below(rows.size())]);
    if (!image) return false;
    const Image input = input_of(*image);
    for (size_t m = 0; m < methods_.size(); ++m) {
      if (methods_[m].only_in_game) continue;
      const std::vector<Map> maps = methods_[m].maps(input);
      const Matrix scores =
          head_.score(engine_.encode_images(altered(input, places_by_height(maps[label].grid(), kSide))));
      std::array<std::vector<double>, 2> curves;
      for (size_t i = 0; i < scores.rows(); ++i) curves[i / (kSteps + 1)].push_back(scores.row(i)[label]);
      sums_[m].figures.deletion += area_below(curves[0]);
      sums_[m].figures.insertion += area_below(curves[1]);
      ++sums_[m].curves;
    }
    return true;
  }

  // Where a mask is white; nothing when it cannot be used.
  std::optional<Image> mask_of(size_t row, const Image& image) {
    const std::filesystem::path path =
        manifest_.path(row).parent_path() / std::filesystem::path(manifest_.at(row, "mask"));
    try {
      Image mask = Image::read(path);
      if (mask.width() == image.width() && mask.height() == image.height()) return mask;
      throw Error(ErrorCode::invalid_image, path.string() + ": a mask of " + std::to_string(mask.width()) +
                                                " x " + std::to_string(mask.height()) +
                                                " pixels, its image has " + std::to_string(image.width()) +
                                                " x " + std::to_string(image.height()));
    } catch (const std::exception& error) {
      failures_.push_back({path.string(), reason_of(error)});
      return std::nullopt;
    }
  }

  void measure_mask(size_t row, size_t label, MapReport& report) {
    const std::optional<Image> image = read(row);
    const std::optional<Image> mask = image ? mask_of(row, *image) : std::nullopt;
    if (!mask) return;
    const auto pixel_at = [](double place, size_t pixels) {
      return std::min(static_cast<size_t>(place * static_cast<double>(pixels)), pixels - 1);
    };
    const PartOf part_of = [&](double y, double x) -> size_t {
      const size_t pixel = pixel_at(y, mask->height()) * mask->width() + pixel_at(x, mask->width());
      return mask->pixels()[pixel * 3] > 127;
    };
    const Image input = input_of(*image);
    for (size_t m = 0; m < methods_.size(); ++m) {
      if (methods_[m].only_in_game) continue;
      sums_[m].figures.in_mask += energy_in(methods_[m].maps(input)[label].grid(), part_of, 1);
      ++sums_[m].masks;
    }
    size_t white = 0;
    for (size_t i = 0; i < mask->pixels().size(); i += 3) white += mask->pixels()[i] > 127;
    report.mask_area += static_cast<double>(white) / static_cast<double>(mask->width() * mask->height());
    ++report.masks;
  }

  void measure_masks(MapReport& report) {
    for (size_t label = 0; label < labelled_.rows.size(); ++label)
      for (const size_t row : labelled_.rows[label]) {
        if (options_.cancelled && options_.cancelled()) throw Error(ErrorCode::cancelled, "cancelled");
        if (!manifest_.at(row, "mask").empty()) measure_mask(row, label, report);
      }
    if (report.masks > 0) report.mask_area /= static_cast<double>(report.masks);
  }

  const Engine& engine_;
  const Manifest& manifest_;
  const MapMeasureOptions& options_;
  std::vector<pipeline::Failure>& failures_;
  std::set<size_t> told_;  // rows in failures_
  const Labelled labelled_;
  const ZeroShotHead head_;
  const Matrix contrasted_;
  std::mt19937_64 random_;
  std::vector<Method> methods_;
  std::vector<Sums> sums_;  // of each method
  double completeness_ = 0;
};

}  // namespace

MapReport measure_maps(const Engine& engine, const Engine& shuffled, const Manifest& manifest,
                       const MapMeasureOptions& options, std::vector<pipeline::Failure>& failures) {
  return Measurement(engine, shuffled, manifest, options, failures).run();
}

}  // namespace mii
