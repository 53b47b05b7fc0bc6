#pragma once

#include <string>
#include <vector>

#include "maps/question.h"
#include "mii/engine.h"
#include "mii/image.h"

namespace mii {

/// What `mii explain --volume` needs to know.
struct VolumeQuestion {
  const Engine& engine;
  const maps::Question& question;
  std::vector<std::string> paths;  ///< files and folders
  DecodeOptions decode;
  std::string out;  ///< folder for curves and maps, or empty
  bool json = false;
  bool quiet = false;
};

/// The slices' scores of each DICOM series and NIfTI volume, as a curve, and maps of the slices that score
/// highest. Returns the exit status.
int explain_volumes(const VolumeQuestion& asked);

}  // namespace mii
