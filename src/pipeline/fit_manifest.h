#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "dataset/manifest.h"
#include "heads/fit_head.h"
#include "mii/engine.h"
#include "pipeline/encode.h"

namespace mii::pipeline {

/// How a head is fitted to the rows of a manifest.
struct ManifestFit {
  heads::FitOptions fit;
  /// Rows are used that meet all of these.
  std::vector<std::string> where;
  /// Rows that meet all of these calibrate and are not fitted; conditions of `where` on other columns hold
  /// for them too. None: a fifth of the patients, where there is something to calibrate.
  std::vector<std::string> calibrate_where;
  bool several = false;  ///< cells hold several labels, separated by ';' or '|'
  bool numbers = false;  ///< cells hold numbers; those of a ridge always do
};

/// The rows that a head is fitted to, and those that calibrate it: their field is not empty.
struct FitRows {
  std::vector<size_t> all;  ///< of the manifest, rising
  std::vector<bool> calibrates;
};
/// Throws Error{invalid_argument} for a manifest without the field, or conditions that no row meets.
FitRows fit_rows(const Manifest& manifest, const ManifestFit& options);

/// Vectors of rows of a manifest.
struct RowVectors {
  std::vector<size_t> rows;  ///< of FitRows::all: those that have a vector
  Matrix vectors;
  Identity identity;
};
/// Finds the rows' vectors by their paths in a file that `mii embed` wrote; rows without are added to
/// failures. Throws as read_vectors does, and Error{invalid_argument} for a file without an identity.
RowVectors find_vectors(const Manifest& manifest, const FitRows& rows, const std::filesystem::path& file,
                        std::vector<Failure>& failures);
/// Reads and encodes the rows' images. Those that fail are added to failures.
RowVectors encode_rows(const Engine& engine, const Manifest& manifest, const FitRows& rows,
                       const DecodeOptions& decode, const ReadOptions& options,
                       std::vector<Failure>& failures);

/// engine: gives the labels' texts where heads::needs_texts; else may be null. Throws as heads::fit_head
/// does, and Error{invalid_argument} when the engine is not the vectors' model.
heads::FittedHead fit_manifest(const Manifest& manifest, const FitRows& rows, const RowVectors& encoded,
                               const Engine* engine, const ManifestFit& options);

}  // namespace mii::pipeline
