#include "volume_flags.h"

#include <algorithm>
#include <charconv>

#include "mii/error.h"

namespace mii {

CLI::Option* add_pool(CLI::App& command, std::string& pool) {
  return command.add_option("--pool", pool, "With --volume: how the slices' vectors become one")
      ->check(CLI::IsMember({"mean", "median", "max", "std"}))
      ->capture_default_str();
}

void VolumeFlags::add_to(CLI::App& command) {
  add_pool(command, pool);
  command.add_option("--slices", slices, "With --volume: all, or center:N for the N around the centre")
      ->capture_default_str();
  command.add_option("--slice-vectors", slice_vectors,
                     "With --volume: a second file, for the slices' vectors");
}

Pooling pooling_of(const std::string& pool) {
  return pool == "median" ? Pooling::median
         : pool == "max"  ? Pooling::max
         : pool == "std"  ? Pooling::std
                          : Pooling::mean;
}

std::vector<Slice> VolumeFlags::chosen(const std::vector<Slice>& all) const {
  if (slices == "all") return all;
  constexpr std::string_view kCenter = "center:";
  size_t count = 0;
  const std::string_view number = std::string_view(slices).substr(std::min(kCenter.size(), slices.size()));
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), count);
  if (!slices.starts_with(kCenter) || error != std::errc() || end != number.data() + number.size() ||
      count == 0)
    throw Error(ErrorCode::invalid_argument, "--slices " + slices + ": expected all, or center:N");
  count = std::min(count, all.size());
  const auto first = all.begin() + static_cast<std::ptrdiff_t>((all.size() - count) / 2);
  return {first, first + static_cast<std::ptrdiff_t>(count)};
}

}  // namespace mii
