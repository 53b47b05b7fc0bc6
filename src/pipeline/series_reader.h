#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "mii/series.h"
#include "pipeline/encode.h"
#include "pipeline/open_files.h"

namespace mii::pipeline {

/// The name of a slice in outputs: the path, with "#12" for one frame of several.
std::string name_of(const Slice& slice);
/// The name of a series: that of its first slice's file.
std::string name_of(const Series& series);

/// The images of one series. Profiles that look at values look at those of all slices together, for which all
/// of them are read before the first image. Measured slices are kept until they are asked for, as far as they
/// fit into keep_bytes; the others are read again.
class SeriesReader {
 public:
  static constexpr uint64_t kKeepBytes = 1ull << 29;

  SeriesReader(std::vector<Slice> slices, const DecodeOptions& options, uint64_t keep_bytes = kKeepBytes);

  /// Black and white of the whole series, once prepare() has looked; nullopt where the profile does not look
  /// at values.
  const std::optional<std::pair<double, double>>& value_range() const { return options_.series_range; }

  /// Looks at the values, where the profile does, on several threads. Slices that cannot be read are passed
  /// over: their errors come with their images.
  void prepare(const ReadOptions& options = {});

  /// Refers to this reader. Each image may be asked for once, on any thread.
  ImageSequence images();

 private:
  using Measured = std::shared_ptr<const MeasuredFrame>;

  DecodeOptions options_of(size_t i) const;
  Measured measured(size_t i);
  void keep(size_t i, const Measured& frame);
  Image image(size_t i);

  std::vector<Slice> slices_;
  DecodeOptions options_;
  OpenFiles files_;
  uint64_t room_;
  std::vector<Measured> kept_;  // one for each slice, null: to be read
};

struct EncodedSeries {
  std::vector<size_t> rows;                      ///< the slices that could be read
  Matrix vectors;                                ///< [rows, D]
  std::shared_ptr<const Provenance> provenance;  ///< of the first of them
  std::vector<Failure> failures;
};

/// Encodes the slices of one series in the engine's batches.
EncodedSeries encode_series(const Engine& engine, const std::vector<Slice>& slices,
                            const DecodeOptions& decode, const ReadOptions& options);

}  // namespace mii::pipeline
