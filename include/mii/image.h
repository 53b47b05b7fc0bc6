#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <utility>

#include "mii/export.h"

namespace mii {

/// How a grey picture of more than 8 bits a pixel becomes 8 bits (Pillow has no useful rule of its own).
enum class Grey16 {
  minmax,  ///< (v - min) * 255 / (max - min) over the picture, rounded to nearest; a constant one becomes 0
  high_byte,  ///< value >> 8: the full range 0..65535 is mapped to 0..255, whatever the picture holds
};

/// What is refused before any memory is taken for it.
struct DecodeLimits {
  uint64_t max_pixels = 100'000'000;       ///< width * height
  uint64_t max_file_bytes = 256ull << 20;  ///< the encoded size
};

struct DecodeOptions {
  DecodeLimits limits;
  Grey16 grey16 = Grey16::minmax;
};

/// A picture as the model sees it before the resize: 8-bit RGB, [height, width, 3], row-major.
///
/// Decoding gives the bytes that Pillow 9.4's Image.open(f).convert("RGB") gives (libjpeg-turbo with its
/// default settings; alpha is dropped, not blended; a JPEG's EXIF orientation is ignored, TIFF's own
/// orientation tag is followed). Grey of 12 or 16 bits follows DecodeOptions, TIFF's min-is-white inverted;
/// 16-bit colour keeps its high byte. Stricter than Pillow in one point: a PNG must have right checksums and
/// its end chunk. Move-only; safe to read from several threads.
class MII_API Image {
 public:
  /// Decodes JPEG, PNG, TIFF, WebP, BMP or PNM; the format is told by content, never by name. Of several
  /// pages or frames the first is taken. Throws Error{invalid_image} for anything that is not such a picture
  /// or is damaged, Error{image_too_large} beyond the limits.
  static Image decode(std::span<const std::byte> bytes, const DecodeOptions& options = {});

  /// Reads and decodes a file. Throws as decode does, naming the file, and Error{io} when it cannot be read.
  static Image read(const std::filesystem::path& path, const DecodeOptions& options = {});

  /// Copies ready RGB bytes, [height, width, 3]. Throws Error{invalid_argument} unless both sides are
  /// positive and pixels.size() is height * width * 3.
  static Image from_rgb(size_t width, size_t height, std::span<const uint8_t> pixels);

  /// Takes over ready RGB bytes, height * width * 3 of them. Throws Error{invalid_argument} unless both sides
  /// are positive and pixels is not null.
  static Image adopt_rgb(size_t width, size_t height, std::unique_ptr<uint8_t[]> pixels);

  Image(Image&& other) noexcept { *this = std::move(other); }
  Image& operator=(Image&& other) noexcept {
    width_ = std::exchange(other.width_, 0);
    height_ = std::exchange(other.height_, 0);
    pixels_ = std::move(other.pixels_);
    return *this;
  }

  size_t width() const { return width_; }
  size_t height() const { return height_; }
  std::span<const uint8_t> pixels() const { return {pixels_.get(), width_ * height_ * 3}; }

 private:
  Image(size_t width, size_t height, std::unique_ptr<uint8_t[]> pixels)
      : width_(width), height_(height), pixels_(std::move(pixels)) {}

  size_t width_ = 0;
  size_t height_ = 0;
  std::unique_ptr<uint8_t[]> pixels_;
};

}  // namespace mii
