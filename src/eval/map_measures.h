#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "dataset/manifest.h"
#include "mii/engine.h"
#include "pipeline/inputs.h"

// How well maps of scores point: measured on labelled images, and compared with what a map that knows nothing
// would reach.

namespace mii {

struct MapMeasureOptions {
  std::string field = "modality";  ///< the column with the labels
  size_t canvases = 60;            ///< of the pointing game
  size_t images = 40;              ///< whose curves are drawn
  size_t rise_masks = 500;         ///< of RISE, for each image
  uint64_t seed = 1;
  std::function<void(size_t more)> progress;  ///< hears of canvases and images that are done
  std::function<bool()> cancelled;            ///< true: Error{cancelled}
};

/// How a method does. Means over canvases, images or masks; NaN where there were none.
struct MapFigures {
  std::string method;
  double energy = 0;  ///< share of what is above zero in a label's map that lies in the label's own cell
  double twice_chance = 0;  ///< share of labels for which that is at least twice chance
  double pointing = 0;      ///< share of labels whose highest token lies in their own cell
  double deletion = 0;   ///< mean probability of the label while the highest places are hidden: low is good
  double insertion = 0;  ///< the same while they alone are shown: high is good
  double in_mask = 0;    ///< share of energy inside the image's mask
};

struct MapReport {
  std::string field;
  size_t canvases = 0;
  size_t cells = 0;  ///< of a canvas, an image in each
  size_t images = 0;
  size_t masks = 0;         ///< images that have one
  double mask_area = 0;     ///< what in_mask is by chance
  double completeness = 0;  ///< the largest error of the exact maps
  std::vector<MapFigures> methods;
};

/// shuffled: the same model with weights that have learnt nothing. The manifest may have a column "mask": a
/// path relative to the image's folder, to an image of the same size that is white where the label's finding
/// is. Throws Error{invalid_argument} without the column, for fewer than two labels, and Error{unsupported}
/// for a model that has no maps. Images and masks that cannot be used come back.
MapReport measure_maps(const Engine& engine, const Engine& shuffled, const Manifest& manifest,
                       const MapMeasureOptions& options, std::vector<pipeline::Failure>& failures);

/// For people.
std::string to_table(const MapReport& report);
std::string to_json(const MapReport& report);

}  // namespace mii
