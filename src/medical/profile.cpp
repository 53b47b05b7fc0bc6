#include "mii/profile.h"

#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <tuple>
#include <utility>

#include "mii/error.h"

namespace mii {
namespace {

constexpr std::array kPresets{
    Profile::Preset{"ct-soft-tissue", 40, 400}, Profile::Preset{"ct-lung", -600, 1500},
    Profile::Preset{"ct-bone", 480, 2500},      Profile::Preset{"ct-brain", 40, 80},
    Profile::Preset{"ct-liver", 90, 150},       Profile::Preset{"ct-mediastinum", 50, 350}};

[[noreturn]] void fail(std::string_view text, const std::string& why) {
  std::string names = "auto, voi, stored, minmax, percentile:LOW,HIGH, window:CENTER,WIDTH";
  for (const Profile::Preset& preset : kPresets) names += ", " + std::string(preset.name);
  throw Error(ErrorCode::invalid_argument, "preprocessing profile '" + std::string(text.substr(0, 64)) +
                                               "': " + why + "; there are " + names);
}

std::optional<double> number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

// The two numbers after "name:".
std::pair<double, double> two_numbers(std::string_view text) {
  const std::string_view numbers = text.substr(text.find(':') + 1);
  const size_t comma = numbers.find(',');
  if (comma == std::string_view::npos) fail(text, "expected two numbers");
  const auto first = number(numbers.substr(0, comma)), second = number(numbers.substr(comma + 1));
  if (!first || !second) fail(text, "expected two numbers");
  return {*first, *second};
}

}  // namespace

std::span<const Profile::Preset> Profile::presets() { return kPresets; }

Profile Profile::parse(std::string_view text) {
  Profile profile{.name = std::string(text)};
  for (const auto& [name, kind] : {std::pair("auto", Kind::automatic), std::pair("voi", Kind::voi),
                                   std::pair("stored", Kind::stored), std::pair("minmax", Kind::minmax)}) {
    if (text != name) continue;
    profile.kind = kind;
    return profile;
  }
  for (const Preset& preset : kPresets) {
    if (text != preset.name) continue;
    profile.kind = Kind::window;
    profile.window = {preset.center, preset.width, VoiFunction::linear};
    return profile;
  }
  if (text.starts_with("window:")) {
    profile.kind = Kind::window;
    std::tie(profile.window.center, profile.window.width) = two_numbers(text);
    if (profile.window.width < 1) fail(text, "a width below 1");
    return profile;
  }
  if (text.starts_with("percentile:")) {
    profile.kind = Kind::percentile;
    std::tie(profile.low, profile.high) = two_numbers(text);
    if (profile.low < 0 || profile.high > 100 || profile.low >= profile.high)
      fail(text, "expected 0 <= LOW < HIGH <= 100");
    return profile;
  }
  fail(text, "unknown");
}

}  // namespace mii
