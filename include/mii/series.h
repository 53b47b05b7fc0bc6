#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "mii/export.h"
#include "mii/image.h"
#include "mii/matrix.h"

namespace mii {

/// One image of a series: a frame of a file.
struct Slice {
  std::filesystem::path file;
  size_t frame = 0;
  size_t frames = 1;                  ///< that the file has
  std::optional<double> position_mm;  ///< along the normal of the slices
};

/// Images that belong together, in their order in space. The slices of a NIfTI volume are a series too.
struct Series {
  std::string modality;   ///< DICOM's code; "NIfTI" for a volume
  std::string body_part;  ///< in capitals, may be empty
  int number = 0;         ///< Series Number
  size_t rows = 0;        ///< of the first slice
  size_t cols = 0;
  std::vector<Slice> slices;
  std::vector<std::string> warnings;  ///< gaps, duplicates, mixed orientation, no positions
  // These identify an examination: never printed or logged unless a person asks for it.
  std::string study_instance_uid;
  std::string series_instance_uid;
};

struct SkippedFile {
  std::filesystem::path file;
  std::string reason;
};

struct SeriesScan {
  std::vector<Series> series;        ///< by study, then by series number
  std::vector<SkippedFile> skipped;  ///< not images of a series, or damaged
};

/// Groups DICOM files and NIfTI volumes by study and series. paths: files, folders (walked), DICOMDIR files.
/// A series is ordered by Image Position (Patient) along the normal of Image Orientation (Patient). Where
/// slices lack positions or differ in orientation, it is ordered by instance number and frame, with a
/// warning. plane: how NIfTI volumes are cut. Reads headers only. Throws Error{io} for a path that does not
/// exist.
MII_API SeriesScan find_series(std::span<const std::filesystem::path> paths,
                               SlicePlane plane = SlicePlane::axial);

/// The value range of a whole series for DecodeOptions::series_range: percentiles, or minimum and maximum,
/// over all slices, padding excluded. nullopt when the profile does not depend on the values. Exact
/// for integers under one rescale, else to 1 / 65536 of the range. Slices that cannot be read are skipped.
MII_API std::optional<std::pair<double, double>> series_value_range(std::span<const Slice> slices,
                                                                    const DecodeOptions& options);

/// How the vectors of slices become one.
enum class Pooling { mean, median, max, std };

/// Pools each column over the rows; mean, median and max are normalised to length 1 again, the (population)
/// standard deviation is not. slices: [n, D], n >= 1. Returns [1, D]. Source: 3D-MIR (arXiv 2311.13752).
/// Throws Error{invalid_argument} without rows.
MII_API Matrix pool_slices(const Matrix& slices, Pooling pooling);

}  // namespace mii
