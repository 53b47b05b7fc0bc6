#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "mii/series.h"

namespace mii {

/// --pool and what its names mean.
CLI::Option* add_pool(CLI::App& command, std::string& pool);
Pooling pooling_of(const std::string& pool);

/// The flags of `mii embed --volume`.
struct VolumeFlags {
  std::string pool = "mean";
  std::string slices = "all";  ///< "all" or "center:N"
  std::string slice_vectors;   ///< a file for the vectors of the slices, or empty

  void add_to(CLI::App& command);

  Pooling pooling() const { return pooling_of(pool); }
  /// All slices, or the N around the centre. Throws Error{invalid_argument} for another --slices.
  std::vector<Slice> chosen(const std::vector<Slice>& slices) const;
};

}  // namespace mii
