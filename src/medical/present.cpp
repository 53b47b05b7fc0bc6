#include "medical/present.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "medical/value_range.h"
#include "mii/error.h"

namespace mii {
namespace {

using Kind = Profile::Kind;

template <size_t N>
bool is_one_of(const std::string& text, const std::array<std::string_view, N>& list) {
  return std::ranges::find(list, text) != list.end();
}

bool mentions(const std::string& body_part, std::initializer_list<std::string_view> words) {
  return std::ranges::any_of(
      words, [&](std::string_view word) { return body_part.find(word) != std::string::npos; });
}

// The window for a CT of a body part that has none of its own.
std::string_view preset_for(const std::string& body_part) {
  if (mentions(body_part, {"HEAD", "BRAIN", "SKULL"})) return "ct-brain";
  if (mentions(body_part, {"LUNG"})) return "ct-lung";
  if (mentions(body_part, {"CHEST", "THORAX", "MEDIASTINUM", "HEART"})) return "ct-mediastinum";
  if (mentions(body_part, {"LIVER"})) return "ct-liver";
  if (mentions(body_part,
               {"SPINE", "KNEE", "HIP", "SHOULDER", "ANKLE", "WRIST", "ELBOW", "EXTREMITY", "HAND", "FOOT"}))
    return "ct-bone";
  return "ct-soft-tissue";
}

bool has_voi(const DisplayHints& hints) { return !hints.windows.empty() || !hints.voi_tables.empty(); }

// The decision list of "auto"; see mii/profile.h.
Profile decided(const GreyFrame& frame, const DisplayHints& hints) {
  static constexpr std::array kProjections{std::string_view("CR"), std::string_view("DX"),
                                           std::string_view("MG"), std::string_view("RG"),
                                           std::string_view("PX"), std::string_view("IO")};
  static constexpr std::array kPhotographs{std::string_view("ES"), std::string_view("GM"),
                                           std::string_view("SM"), std::string_view("OP"),
                                           std::string_view("XC")};
  const bool eight_bits = frame.bits_stored <= 8 && frame.reals.empty();
  if (hints.modality == "US" || (eight_bits && is_one_of(hints.modality, kPhotographs)))
    return Profile::parse("stored");
  if (hints.modality == "CT") return Profile::parse(has_voi(hints) ? "voi" : preset_for(hints.body_part));
  if (is_one_of(hints.modality, kProjections) && has_voi(hints)) return Profile::parse("voi");
  return Profile::parse("percentile:1,99");
}

ValueRange values_of(const Profile& profile, const GreyFrame& frame) {
  return profile.kind == Kind::minmax ? range_of(frame) : percentiles_of(frame, profile.low, profile.high);
}

}  // namespace

DisplayHints display_hints(const DicomFile& file, const DicomFrameInfo& frame) {
  return {file.info().modality, file.info().body_part, frame.windows, frame.voi_tables, {}};
}

ChosenMapping choose_mapping(const Profile& profile, const GreyFrame& frame, const DisplayHints& hints) {
  switch (profile.kind) {
    case Kind::automatic:
      return choose_mapping(decided(frame, hints), frame, hints);
    case Kind::window:
      return {profile.window, "window"};
    case Kind::percentile:
    case Kind::minmax:
      return {hints.series_range ? *hints.series_range : values_of(profile, frame),
              profile.kind == Kind::minmax ? "minmax" : "percentile"};
    case Kind::stored:
      if (!frame.reals.empty())
        return {range_of(frame), "minmax"};  // real numbers have no range of their own
      return {StoredRange{}, "stored"};
    case Kind::voi:
      break;
  }
  // PS3.3 C.11.2: where both are present, either may be used; the table is more specific.
  if (!hints.voi_tables.empty()) return {hints.voi_tables.front(), "voi-lut"};
  if (!hints.windows.empty()) return {hints.windows.front(), "voi-window"};
  throw Error(ErrorCode::invalid_image, "the profile 'voi' needs a window or VOI LUT, and the file has none");
}

std::optional<Profile> value_profile(const Profile& profile, const GreyFrame& frame,
                                     const DisplayHints& hints) {
  const Profile chosen = profile.kind == Kind::automatic ? decided(frame, hints) : profile;
  if (chosen.kind != Kind::percentile && chosen.kind != Kind::minmax) return std::nullopt;
  return chosen;
}

}  // namespace mii
