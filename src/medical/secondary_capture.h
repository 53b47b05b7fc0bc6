#pragma once

#include <cstddef>
#include <vector>

#include "medical/derived_image.h"
#include "medical/dicom_attributes.h"

namespace mii {

/// A Part 10 file, Secondary Capture Image Storage (PS3.3 A.8.1), with a SOP Instance UID of its own and the
/// source's patient and study. frames: how many the source has. Throws Error{invalid_argument} for an image
/// of no pixels, or more than 65535 a side.
std::vector<std::byte> secondary_capture(DcmDataset& source, size_t frames, const DerivedImage& image);

}  // namespace mii
