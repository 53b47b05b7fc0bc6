#include "volume.h"

#include <algorithm>
#include <charconv>

#include "mii/error.h"

namespace mii {

namespace {

ImageInput input_of(const Slice& slice) {
  return {slice.file.string(), slice.frames == 1 ? std::nullopt : std::optional(slice.frame)};
}

}  // namespace

void VolumeFlags::add_to(CLI::App& command) {
  command.add_option("--pool", pool, "With --volume: how the slices' vectors become one")
      ->check(CLI::IsMember({"mean", "median", "max", "std"}))
      ->capture_default_str();
  command.add_option("--slices", slices, "With --volume: all, or center:N for the N around the centre")
      ->capture_default_str();
  command.add_option("--slice-vectors", slice_vectors,
                     "With --volume: a second file, for the slices' vectors");
}

Pooling pooling_of(const VolumeFlags& flags) {
  return flags.pool == "median" ? Pooling::median
         : flags.pool == "max"  ? Pooling::max
         : flags.pool == "std"  ? Pooling::std
                                : Pooling::mean;
}

std::vector<Slice> chosen_slices(const std::vector<Slice>& slices, const VolumeFlags& flags) {
  if (flags.slices == "all") return slices;
  constexpr std::string_view kCenter = "center:";
  size_t count = 0;
  const std::string_view number =
      std::string_view(flags.slices).substr(std::min(kCenter.size(), flags.slices.size()));
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), count);
  if (!flags.slices.starts_with(kCenter) || error != std::errc() || end != number.data() + number.size() ||
      count == 0)
    throw Error(ErrorCode::invalid_argument, "--slices " + flags.slices + ": expected all, or center:N");
  count = std::min(count, slices.size());
  const auto first = slices.begin() + static_cast<std::ptrdiff_t>((slices.size() - count) / 2);
  return {first, first + static_cast<std::ptrdiff_t>(count)};
}

std::string name_of(const Slice& slice) { return input_of(slice).name(); }

std::string name_of(const Series& series) { return series.slices.front().file.string(); }

EncodedSeries encode_series(const Engine& engine, const std::vector<Slice>& slices, DecodeOptions options,
                            bool quiet) {
  EncodedSeries encoded;
  options.series_range = series_value_range(slices, options);
  options.frame.reset();  // each slice has its own
  std::vector<ImageInput> inputs;
  for (const Slice& slice : slices) inputs.push_back(input_of(slice));
  Matrix vectors(slices.size(), engine.info().embedding_dim);
  size_t rows = 0;
  encoded.failures = encode_image_files(
      engine, inputs, options, quiet,
      [&](const std::vector<size_t>& indices, const Matrix& batch, std::span<const Image> images) {
        if (rows == 0) encoded.provenance = images.front().shared_provenance();
        for (size_t i = 0; i < indices.size(); ++i) {
          encoded.names.push_back(name_of(slices[indices[i]]));
          std::ranges::copy(batch.row(i), vectors.row(rows++).begin());
        }
      });
  encoded.vectors = Matrix(rows, vectors.cols());
  std::copy_n(vectors.values().begin(), rows * vectors.cols(), encoded.vectors.values().begin());
  return encoded;
}

}  // namespace mii
