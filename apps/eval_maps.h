#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "eval/map_measures.h"
#include "model_flags.h"

namespace mii {

/// The flags of `mii eval MANIFEST --explain`.
struct MapFlags {
  bool explain = false;
  MapMeasureOptions measures;

  /// To be called when the command has its other flags, some of which make no sense here.
  void add_to(CLI::App& command);
};

/// Measures how well maps point on the images of a manifest and prints the figures. fields: one at most, in
/// place of the modality. json: a file; empty: none. Throws Error{invalid_argument}.
int evaluate_maps(const MapFlags& flags, const ModelFlags& model, const std::string& manifest,
                  const std::vector<std::string>& where, const std::vector<std::string>& fields,
                  const std::string& json);

}  // namespace mii
