#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "mii/image.h"

namespace mii {

/// The flags that say how files become images.
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

}  // namespace mii
