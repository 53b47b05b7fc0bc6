#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "mii/image.h"

namespace mii {

/// The flags that say how files become pictures.
struct DecodeFlags {
  std::string profile = "auto";
  std::string frame = "middle";  ///< "middle", "all" or a number from 1
  std::string plane = "axial";
  bool azure = false;

  void add_to(CLI::App& command);
  /// Throws Error{invalid_argument} for a flag that makes no sense.
  DecodeOptions options() const;
  bool all_frames() const { return frame == "all"; }
};

/// How a picture came about, as a JSON object. Frames are counted from 1, as DICOM does.
std::string provenance_json(const Provenance& provenance);
/// The same in words: "window 40/400".
std::string mapping_text(const Provenance& provenance);

/// Six digits, for people.
std::string short_number(double value);

}  // namespace mii
