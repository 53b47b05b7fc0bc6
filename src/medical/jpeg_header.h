#pragma once

#include <cstddef>
#include <span>

#include "medical/jpeg2000.h"

namespace mii {

/// What a JPEG or JPEG-LS codestream says of itself.
struct JpegHeader {
  size_t marker = 0;  ///< second byte of the frame header's marker, 0xC0 to 0xC3 or 0xF7: how it is coded
  int precision = 0;
  ExpectedImage image;
  size_t scans = 0;
  bool is_jfif = false;  ///< it has the marker of a JFIF file
};

/// Walks a codestream from marker to marker to its end and takes what any decoder must see the same: one
/// frame header, tables and comments with whole segments, scans. Throws Error{invalid_image} for all else:
/// markers without a length outside of a scan, bytes between segments, a second frame header, lengths past
/// the end. Source: ITU-T T.81 annex B, T.87 annex C.
JpegHeader read_jpeg_header(std::span<const std::byte> bytes);

}  // namespace mii
