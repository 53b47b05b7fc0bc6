#pragma once

#include "image/tiff_rows.h"
#include "medical/frame.h"

namespace mii {

/// Whether a file's samples are measured values that no 8-bit or 16-bit image holds: signed numbers,
/// numbers of 32 or 64 bits, floating-point numbers. Their colours are not looked at.
bool is_measured(const TiffLayout& layout);

/// The values of the first sample of each pixel, turned upright. Throws Error{invalid_image} for numbers of
/// other sizes.
GreyFrame read_measured(const TiffFile& file, const DecodeLimits& limits);

}  // namespace mii
