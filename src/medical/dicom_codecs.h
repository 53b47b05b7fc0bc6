#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "medical/dicom_pixels.h"

namespace mii::medical {

/// The name of a transfer syntax; empty for one that is not known.
std::string transfer_syntax_name(std::string_view uid);

/// One compressed frame: RLE, JPEG-LS; JPEG (baseline, extended, lossless) by DCMTK; JPEG 2000 and
/// High-Throughput JPEG 2000 by OpenJPEG. transfer_syntax: its UID. Throws Error{invalid_image} for damage or
/// a codestream that is not what the layout says, Error{unsupported} for another transfer syntax.
RawFrame decode_encapsulated(const std::string& transfer_syntax, const std::vector<std::byte>& frame,
                             const PixelLayout& layout);

}  // namespace mii::medical
