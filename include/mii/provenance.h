#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "mii/export.h"

namespace mii {

/// How a window maps values to grey. Source: DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3.
enum class VoiFunction { linear, linear_exact, sigmoid };

/// How a volume is cut into slices, each shown in radiological convention: the patient's right (sagittal:
/// front) on the left of the image.
enum class SlicePlane { axial, coronal, sagittal };

/// "axial", "coronal" or "sagittal".
MII_API const char* to_string(SlicePlane plane);

struct VoiWindow {
  double center = 0;  ///< in the frame's real values (Hounsfield units in a CT)
  double width = 0;
  VoiFunction function = VoiFunction::linear;
};

/// How an image became the 8-bit RGB that the model sees. Holds nothing that identifies a patient.
struct Provenance {
  std::string format;                      ///< "JPEG", "DICOM", "NIfTI-1", ...
  std::string transfer_syntax;             ///< DICOM: its name, "JPEG 2000 Image Compression (Lossless Only)"
  std::string photometric_interpretation;  ///< DICOM: "MONOCHROME2", ...
  std::string modality;                    ///< DICOM: "CT", ...
  std::string body_part;                   ///< DICOM: "CHEST", ...
  size_t width = 0;                        ///< of the original, pixels
  size_t height = 0;
  size_t frame = 0;     ///< counted from 0; of a NIfTI volume: the slice along the plane
  size_t frames = 1;    ///< how many there are
  std::string plane;    ///< NIfTI: "axial", "coronal" or "sagittal"
  std::string profile;  ///< the preprocessing profile that was asked for, "auto" say
  std::string
      applied;  ///< the mapping that the profile chose: "window", "percentile", "minmax", "voi-lut", "stored"
  std::optional<VoiWindow> window;                   ///< the window that was used
  std::optional<std::pair<double, double>> range;    ///< the values that became black and white
  std::optional<std::pair<double, double>> rescale;  ///< slope and intercept
  bool inverted = false;                             ///< MONOCHROME1
  bool azure_standardisation = false;                ///< see DecodeOptions::azure
  std::vector<std::string> warnings;                 ///< "burned-in annotation", ...
};

}  // namespace mii
