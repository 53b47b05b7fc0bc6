#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "mii/export.h"
#include "mii/profile.h"
#include "mii/provenance.h"

namespace mii {

/// How a grey image of more than 8 bits a pixel becomes 8 bits (Pillow has no useful rule of its own).
enum class Grey16 {
  minmax,  ///< (v - min) * 255 / (max - min) over the image, rounded to nearest; a constant image becomes 0
  high_byte,  ///< value >> 8: the full range 0..65535 is mapped to 0..255, whatever the image holds
};

/// What is refused before any memory is taken for it.
struct DecodeLimits {
  /// width * height; of a TIFF of measured values, or whose colours libtiff converts, and of a WebP animation
  /// a fifth, as they take more memory a pixel.
  uint64_t max_pixels = 100'000'000;
  uint64_t max_file_bytes = 256ull << 20;  ///< the encoded size
  uint64_t max_volume_bytes = 2ull << 30;  ///< of a NIfTI volume's voxels, inflated
};

/// A resize to side x side pixels and a JPEG round trip.
struct AzureStandardisation {
  size_t side = 512;
  int jpeg_quality = 75;  ///< libjpeg's, 1 to 100
};

struct DecodeOptions {
  DecodeLimits limits;
  Grey16 grey16 = Grey16::minmax;

  /// DICOM, NIfTI, and TIFF of 32-bit, floating-point or signed grey: how measured values become grey.
  Profile profile;
  /// Multi-frame DICOM, NIfTI: the frame, counted from 0; beyond the last is Error{invalid_argument}. Absent:
  /// the middle one (of a 4-D volume, the middle slice of the first time).
  std::optional<size_t> frame;
  /// NIfTI: the plane of the slices.
  SlicePlane plane = SlicePlane::axial;
  /// DICOM and NIfTI: the values for black and white of a whole series, for profiles that would otherwise use
  /// the frame's own.
  std::optional<std::pair<double, double>> series_range;

  /// The step with which the vendor's endpoint begins, for comparing with its vectors.
  std::optional<AzureStandardisation> azure;
};

/// An image as the model sees it before the resize: 8-bit RGB, [height, width, 3], row-major.
///
/// Decoding gives the bytes that Pillow 9.4's Image.open(f).convert("RGB") gives (libjpeg-turbo with its
/// default settings; alpha is dropped, not blended; a JPEG's EXIF orientation is ignored, TIFF's own
/// orientation tag is followed). Grey of 12 or 16 bits follows DecodeOptions, TIFF's min-is-white inverted;
/// 16-bit colour keeps its high byte. Stricter than Pillow on one point: a PNG must have correct checksums
/// and its end chunk. DICOM and NIfTI follow DecodeOptions::profile; NIfTI slices are in radiological
/// convention. Move-only; safe to read from several threads.
class MII_API Image {
 public:
  /// Decodes JPEG, PNG, TIFF, WebP, BMP, PNM, DICOM or NIfTI; the format is told by content, never by name.
  /// Of several pages of a TIFF or frames of a WebP the first is taken. Throws Error{invalid_image} for
  /// anything that is not such an image or is damaged, Error{image_too_large} beyond the limits,
  /// Error{unsupported} for a DICOM transfer syntax that cannot be decoded.
  static Image decode(std::span<const std::byte> bytes, const DecodeOptions& options = {});

  /// Reads and decodes a file. Throws as decode does, naming the file, and Error{io} when it cannot be read.
  static Image read(const std::filesystem::path& path, const DecodeOptions& options = {});

  /// Copies RGB bytes, [height, width, 3]. Throws Error{invalid_argument} unless both sides are
  /// positive and pixels.size() is height * width * 3.
  static Image from_rgb(size_t width, size_t height, std::span<const uint8_t> pixels);

  /// Takes over height * width * 3 RGB bytes. Throws Error{invalid_argument} unless both sides
  /// are positive and pixels is not null.
  static Image adopt_rgb(size_t width, size_t height, std::unique_ptr<uint8_t[]> pixels);

  Image(Image&& other) noexcept { *this = std::move(other); }
  Image& operator=(Image&& other) noexcept {
    width_ = std::exchange(other.width_, 0);
    height_ = std::exchange(other.height_, 0);
    pixels_ = std::move(other.pixels_);
    provenance_ = std::move(other.provenance_);
    return *this;
  }

  size_t width() const { return width_; }
  size_t height() const { return height_; }
  std::span<const uint8_t> pixels() const { return {pixels_.get(), width_ * height_ * 3}; }

  /// How it was made from a file; null when it was made from RGB bytes. Kept by Engine::prepare.
  const Provenance* provenance() const { return provenance_.get(); }
  void set_provenance(std::shared_ptr<const Provenance> provenance) { provenance_ = std::move(provenance); }
  std::shared_ptr<const Provenance> shared_provenance() const { return provenance_; }

 private:
  Image(size_t width, size_t height, std::unique_ptr<uint8_t[]> pixels)
      : width_(width), height_(height), pixels_(std::move(pixels)) {}

  size_t width_ = 0;
  size_t height_ = 0;
  std::unique_ptr<uint8_t[]> pixels_;
  std::shared_ptr<const Provenance> provenance_;
};

/// A file of one or several frames, read once: a multi-frame DICOM object, a NIfTI volume, or any image file
/// (one frame). Safe to read from several threads.
class MII_API ImageFile {
 public:
  /// Takes over the bytes. Throws as Image::decode does; an ordinary image is decoded only by frame().
  static ImageFile open(std::vector<std::byte> bytes, const DecodeLimits& limits = {});
  /// Throws as open does, naming the file, and Error{io} when it cannot be read.
  static ImageFile read(const std::filesystem::path& path, const DecodeLimits& limits = {});

  ImageFile(ImageFile&&) noexcept;
  ~ImageFile();

  /// The number of frames. For a NIfTI volume: slices along the plane times points in time; all slices of the
  /// first time come first.
  size_t frames(SlicePlane plane = SlicePlane::axial) const;

  /// As Image::decode, with options.frame.
  Image frame(const DecodeOptions& options = {}) const;

 private:
  class Impl;
  explicit ImageFile(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mii
