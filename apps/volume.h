#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "inputs.h"
#include "mii/series.h"

namespace mii {

/// The flags of `mii embed --volume`.
struct VolumeFlags {
  std::string pool = "mean";
  std::string slices = "all";  ///< "all" or "center:N"
  std::string slice_vectors;   ///< a file for the vectors of the slices, or empty

  void add_to(CLI::App& command);
};

Pooling pooling_of(const VolumeFlags& flags);

/// All slices, or the N around the centre. Throws Error{invalid_argument} for another --slices.
std::vector<Slice> chosen_slices(const std::vector<Slice>& slices, const VolumeFlags& flags);

/// What a series and a slice are called in outputs: the path, of a series that of its first slice, and "#12"
/// for a frame of several.
std::string name_of(const Slice& slice);
std::string name_of(const Series& series);

struct EncodedSeries {
  std::vector<std::string> names;                ///< of the slices that could be read
  Matrix vectors;                                ///< [names, D]
  std::shared_ptr<const Provenance> provenance;  ///< of the first slice
  std::vector<Failure> failures;
};

/// Encodes slices in the engine's batches; profiles that look at values look at all of them together.
EncodedSeries encode_series(const Engine& engine, const std::vector<Slice>& slices, DecodeOptions options,
                            bool quiet);

}  // namespace mii
