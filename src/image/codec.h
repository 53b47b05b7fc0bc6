#pragma once

// What the decoders share. Each of them reads one format from memory and paints one canvas.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "image/sniff.h"
#include "mii/error.h"
#include "mii/image.h"

namespace mii {

using Bytes = std::span<const std::byte>;

inline const uint8_t* as_u8(Bytes bytes) { return reinterpret_cast<const uint8_t*>(bytes.data()); }

/// Throws Error{invalid_image, "PNG: ..."}.
[[noreturn]] void throw_invalid(const char* format, const std::string& what);

/// Throws Error{invalid_image} for an image without pixels, Error{image_too_large} for one beyond the
/// limits.
void check_size(uint64_t width, uint64_t height, const DecodeLimits& limits);

/// The RGB image that a decoder paints.
class Canvas {
 public:
  explicit Canvas(const DecodeLimits& limits) : limits_(limits) {}

  /// Call this once, when the size is known and before any memory that depends on it is allocated. Returns
  /// room for [height, width, 3], not initialised: pages that a truncated file never fills cost nothing.
  /// Throws as check_size does.
  uint8_t* start(uint64_t width, uint64_t height);

  size_t width() const { return width_; }
  size_t height() const { return height_; }
  uint8_t* row(size_t y) { return pixels_.get() + y * width_ * 3; }

  /// How the image was made; width and height are filled in by take().
  Provenance provenance;

  /// The finished image. Precondition: start() was called and every row was painted.
  Image take();

 private:
  DecodeLimits limits_;
  size_t width_ = 0;
  size_t height_ = 0;
  std::unique_ptr<uint8_t[]> pixels_;
};

/// Decodes an image file onto the canvas. Precondition: format is one of those below.
void decode_onto(ImageFormat format, Bytes bytes, const DecodeOptions& options, Canvas& canvas);

// One decoder each. They throw Error{invalid_image} for damaged input and do not check the file's signature
// again.
namespace image {
void decode_jpeg(Bytes bytes, const DecodeOptions& options, Canvas& canvas);
void decode_png(Bytes bytes, const DecodeOptions& options, Canvas& canvas);
void decode_tiff(Bytes bytes, const DecodeOptions& options, Canvas& canvas);
void decode_webp(Bytes bytes, const DecodeOptions& options, Canvas& canvas);
void decode_bmp(Bytes bytes, const DecodeOptions& options, Canvas& canvas);
void decode_pnm(Bytes bytes, const DecodeOptions& options, Canvas& canvas);
}  // namespace image

/// See DecodeOptions::azure; recorded in the image's provenance.
Image standardised(const Image& image, const AzureStandardisation& standard);

}  // namespace mii
