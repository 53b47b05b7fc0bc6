#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "medical/jpeg_header.h"

namespace mii {

/// Decodes a JPEG-LS codestream that read_jpeg_header has taken. out: [rows, cols, samples] little-endian
/// values of one byte up to 8 bits of precision, else of two. Throws Error{invalid_image} for damaged bytes
/// and for what DICOM does not use: point and colour transforms, restarts. Source: ITU-T T.87, whose names it
/// has.
void decode_jpeg_ls(std::span<const std::byte> bytes, const JpegHeader& header, uint8_t* out);

}  // namespace mii
