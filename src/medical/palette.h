#pragma once

#include <optional>

#include "medical/dicom_attributes.h"
#include "medical/dicom_pixels.h"
#include "medical/window.h"

namespace mii::medical {

/// A Modality or VOI LUT from an item of its sequence; nullopt when it is damaged. signed_input: how its
/// first mapped value is written. Source: PS3.3 C.11.1.1 and C.11.2.1.1.
std::optional<LookupTable> read_lookup_table(DcmItem& item, bool signed_input);

/// Replaces the stored values of a frame by the table's entries.
void apply_modality_table(const LookupTable& table, GreyFrame& frame);

/// PALETTE COLOR to RGB, by plain or segmented tables. Throws Error{invalid_image} when one is missing or
/// damaged. Source: PS3.3 C.7.6.3.1.5, C.7.6.3.1.6 and C.7.9.2.
ColourFrame apply_palette(DcmItem& dataset, const RawFrame& raw, const PixelLayout& layout);

}  // namespace mii::medical
