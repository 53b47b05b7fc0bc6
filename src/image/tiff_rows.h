#pragma once

// The rows of an open TIFF file, one after the other, in bounded memory.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "image/codec.h"
#include "image/tiff_file.h"

namespace mii {

/// What a file's strips or tiles may unpack to, for each pixel that an image may have.
constexpr uint64_t kMaxTiffBytesPerPixel = 8;

/// Throws Error{invalid_image} for strips or tiles without a size, Error{image_too_large} beyond the limits.
void check_blocks(const TiffLayout& layout, const DecodeLimits& limits);

/// Pixels of a row that are handed on at once, at most.
constexpr uint32_t kMaxTiffPieceWidth = 4096;

/// A piece of a row of the image.
struct TiffRow {
  uint32_t x = 0;
  uint32_t y = 0;
  uint32_t pixels = 0;
  /// Samples in the machine's byte order: one plane of [pixels, samples], or one of [pixels] a sample.
  std::vector<const uint8_t*> planes;
};

/// Unpacks strips and tiles as a whole where they take no more than a byte for each pixel that an image may
/// have; a larger strip row by row. Throws Error{image_too_large} for what can be read in neither way.
class TiffRows {
 public:
  /// samples: how many of each pixel are wanted, the first ones. The file outlives the rows.
  TiffRows(const TiffFile& file, size_t samples, const DecodeLimits& limits);

  template <class Use>
  void for_each(const Use& use) {
    for (uint32_t y = 0; y < layout_.height; y += rows_from(y)) {
      for (uint32_t x = 0; x < layout_.width; x += pixels_from(x)) {
        read(x, y);
        for (uint32_t r = 0; r < rows_from(y); ++r) {
          for (uint32_t c = 0; c < pixels_from(x); c += kMaxTiffPieceWidth) use(piece(x, y, c, r));
        }
      }
    }
  }

 private:
  uint32_t pixels_from(uint32_t x) const { return std::min(layout_.block_width, layout_.width - x); }
  uint32_t rows_from(uint32_t y) const { return std::min(rows_at_once_, layout_.height - y); }
  void read(uint32_t x, uint32_t y);
  // Of the strip or tile at (x, y), from its column c and row r on.
  const TiffRow& piece(uint32_t x, uint32_t y, uint32_t c, uint32_t r);

  const TiffFile& file_;
  const TiffLayout& layout_;
  uint32_t rows_at_once_;
  std::vector<ZeroedBytes> planes_;
  TiffRow row_;
};

/// Where a stored image's pixels go for a value of the orientation tag (TIFF 6.0, section 8).
class Turn {
 public:
  explicit Turn(const TiffLayout& layout);

  size_t width() const { return transposed_ ? stored_height_ : stored_width_; }
  size_t height() const { return transposed_ ? stored_width_ : stored_height_; }

  /// The index of a stored pixel in the turned image, and how far the next one of its row is from there.
  size_t index_of(size_t x, size_t y) const;
  ptrdiff_t step() const;

 private:
  size_t stored_width_, stored_height_;
  bool transposed_, flip_x_, flip_y_;
};

}  // namespace mii
