#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace mii {

enum class ImageFormat { unknown, jpeg, png, tiff, webp, bmp, pnm, dicom, nifti };

/// "JPEG", "DICOM", ...
const char* to_string(ImageFormat format);

/// Tells the format by the first bytes.
ImageFormat sniff(std::span<const std::byte> bytes);

/// For bytes of no readable format: one sentence for people that says what they seem to be.
std::string describe_unknown(std::span<const std::byte> bytes);

}  // namespace mii
