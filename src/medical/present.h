#pragma once

#include <optional>
#include <string>
#include <vector>

#include "medical/dicom_file.h"
#include "medical/frame.h"
#include "medical/window.h"
#include "mii/profile.h"

namespace mii {

/// What a file says about how to display one of its grey frames.
struct DisplayHints {
  std::string modality;   ///< DICOM's code, "CT"; empty when not known
  std::string body_part;  ///< in capitals
  std::vector<VoiWindow> windows;
  std::vector<LookupTable> voi_tables;
  /// Of a whole series, for profiles that look at the values; a frame's own when absent.
  std::optional<ValueRange> series_range;
};

DisplayHints display_hints(const DicomFile& file, const DicomFrameInfo& frame);

/// The mapping that a profile chooses for a frame. applied: "window", "voi-window", "voi-lut", "percentile",
/// "minmax", "stored". Throws Error{invalid_image} for the profile "voi" where there is none.
struct ChosenMapping {
  Mapping mapping;
  std::string applied;
};
ChosenMapping choose_mapping(const Profile& profile, const GreyFrame& frame, const DisplayHints& hints);

/// Whether a profile looks at the values of a frame, so that those of a series should be looked at together:
/// percentile or minmax, with the percentiles; nullopt for all others.
std::optional<Profile> value_profile(const Profile& profile, const GreyFrame& frame,
                                     const DisplayHints& hints);

}  // namespace mii
