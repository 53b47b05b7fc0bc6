#include "pipeline/series_reader.h"

#include <algorithm>
#include <utility>

#include "medical/value_range.h"
#include "mii/error.h"

namespace mii::pipeline {
namespace {

ImageInput input_of(const Slice& slice) {
  return {slice.file.string(), slice.frames == 1 ? std::nullopt : std::optional(slice.frame)};
}

uint64_t bytes_of(const Frame& frame) {
  if (const auto* grey = std::get_if<GreyFrame>(&frame))
    return grey->integers.size() * sizeof(int32_t) + grey->reals.size() * sizeof(double);
  return std::get<ColourFrame>(frame).rgb.size();
}

bool may_look_at_values(const Profile& profile) {
  return profile.kind == Profile::Kind::automatic || profile.kind == Profile::Kind::percentile ||
         profile.kind == Profile::Kind::minmax;
}

}  // namespace

std::string name_of(const Slice& slice) { return input_of(slice).name(); }

std::string name_of(const Series& series) { return series.slices.front().file.string(); }

SeriesReader::SeriesReader(std::vector<Slice> slices, const DecodeOptions& options, uint64_t keep_bytes)
    : slices_(std::move(slices)),
      options_(options),
      files_(options.limits),
      room_(keep_bytes),
      kept_(slices_.size()) {}

DecodeOptions SeriesReader::options_of(size_t i) const {
  DecodeOptions options = options_;
  options.frame = slices_[i].frame;
  return options;
}

SeriesReader::Measured SeriesReader::measured(size_t i) {
  if (kept_[i]) return kept_[i];
  try {
    const auto source = files_.open(slices_[i].file);
    if (source->is_measured()) return std::make_shared<const MeasuredFrame>(source->measured(options_of(i)));
  } catch (const std::exception&) {
    // Its error comes with its image.
  }
  return nullptr;
}

void SeriesReader::keep(size_t i, const Measured& frame) {
  const uint64_t bytes = bytes_of(frame->values);
  if (kept_[i] || bytes > room_) return;
  room_ -= bytes;
  kept_[i] = frame;
}

void SeriesReader::prepare(const ReadOptions& options) {
  if (!may_look_at_values(options_.profile)) return;
  const int readers = options.readers > 0 ? options.readers : usable_cores();
  ValueStatistics statistics;
  std::optional<Profile> profile;
  bool decided = false;
  const auto cancelled = [&] { return (decided && !profile) || (options.cancelled && options.cancelled()); };
  const auto for_each_frame = [&](const auto& visit) {
    InOrder<Measured> work(slices_.size(), {readers, static_cast<size_t>(readers), cancelled},
                           [this](size_t i) { return measured(i); });
    work.run([&](size_t i, const Measured& frame) {
      if (!frame) return;
      if (const auto* grey = std::get_if<GreyFrame>(&frame->values)) visit(*grey, frame->hints);
      keep(i, frame);
    });
  };
  for_each_frame([&](const GreyFrame& frame, const DisplayHints& hints) {
    if (!decided) profile = value_profile(options_.profile, frame, hints);
    decided = true;
    if (profile) statistics.add_range(frame);
  });
  if (!profile) return;
  ValueRange range = statistics.range();
  if (profile->kind == Profile::Kind::percentile) {
    for_each_frame([&](const GreyFrame& frame, const DisplayHints&) { statistics.add_values(frame); });
    range = statistics.percentiles(profile->low, profile->high);
  }
  options_.series_range = {range.low, range.high};
}

Image SeriesReader::image(size_t i) {
  const Measured frame = std::exchange(kept_[i], nullptr);
  if (!frame) return files_.image(slices_[i].file, options_of(i));
  try {
    return shown(*frame, options_of(i));
  } catch (const Error& error) {
    throw Error(error.code(), slices_[i].file.string() + ": " + error.what());
  }
}

ImageSequence SeriesReader::images() {
  return {slices_.size(), [this](size_t i) { return name_of(slices_[i]); },
          [this](size_t i) { return image(i); }};
}

EncodedSeries encode_series(const Engine& engine, const std::vector<Slice>& slices,
                            const DecodeOptions& decode, const ReadOptions& options) {
  SeriesReader reader(slices, decode);
  reader.prepare(options);
  EncodedSeries encoded;
  Matrix vectors(slices.size(), engine.info().embedding_dim);
  encoded.failures = encode_images(
      engine, reader.images(), options,
      [&](const std::vector<size_t>& indices, const Matrix& batch, std::span<const Image> images) {
        if (encoded.rows.empty()) encoded.provenance = images.front().shared_provenance();
        for (size_t i = 0; i < indices.size(); ++i) {
          std::ranges::copy(batch.row(i), vectors.row(encoded.rows.size()).begin());
          encoded.rows.push_back(indices[i]);
        }
      });
  encoded.vectors = Matrix(encoded.rows.size(), vectors.cols());
  std::ranges::copy(vectors.values().first(encoded.vectors.values().size()),
                    encoded.vectors.values().begin());
  return encoded;
}

}  // namespace mii::pipeline

namespace mii {

std::optional<std::pair<double, double>> series_value_range(std::span<const Slice> slices,
                                                            const DecodeOptions& options) {
  pipeline::SeriesReader reader({slices.begin(), slices.end()}, options);
  reader.prepare();
  return reader.value_range();
}

}  // namespace mii
