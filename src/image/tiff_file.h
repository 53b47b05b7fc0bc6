#pragma once

// An open TIFF file in memory: what its first directory says, and its strips or tiles one by one.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include <tiffio.h>

#include "image/codec.h"

namespace mii {

/// The tags that decide how the pixels of the first image are laid out.
struct TiffLayout {
  uint32_t width = 0;
  uint32_t height = 0;
  uint16_t photometric = PHOTOMETRIC_MINISWHITE;
  bool photometric_given = false;
  uint16_t compression = COMPRESSION_NONE;
  uint16_t bits = 1;     // a sample
  uint16_t samples = 1;  // a pixel
  uint16_t sample_format = SAMPLEFORMAT_UINT;
  uint16_t orientation = ORIENTATION_TOPLEFT;
  bool planar = false;         // each sample in strips or tiles of its own
  bool premultiplied = false;  // the first extra sample is alpha that the colours were multiplied with
  bool tiled = false;
  uint32_t block_width = 0;  // a strip's or tile's
  uint32_t block_height = 0;

  /// Bytes of some pixels of a row of a block, of one plane.
  uint64_t row_bytes(uint64_t pixels) const { return (pixels * (planar ? 1u : samples) * bits + 7) / 8; }
  uint64_t block_row_bytes() const { return row_bytes(block_width); }
};

/// Bytes that are zero until written, in pages that cost nothing until then.
class ZeroedBytes {
 public:
  explicit ZeroedBytes(size_t size);
  uint8_t* data() { return data_.get(); }
  size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(uint8_t* p) const { std::free(p); }
  };
  std::unique_ptr<uint8_t[], Free> data_;
  size_t size_;
};

class TiffFile {
 public:
  /// Throws Error{invalid_image}. No single piece of memory that the library takes is larger than the RGB
  /// bytes of max_pixels.
  TiffFile(Bytes bytes, uint64_t max_pixels);
  TiffFile(const TiffFile&) = delete;
  TiffFile& operator=(const TiffFile&) = delete;

  const TiffLayout& layout() const { return layout_; }

  /// The red, green and blue of a palette, 1 << bits entries each.
  struct Palette {
    const uint16_t* red;
    const uint16_t* green;
    const uint16_t* blue;
  };
  Palette palette() const;

  /// Asks the JPEG decoder for RGB instead of the YCbCr that is stored.
  void convert_ycbcr_to_rgb();

  /// Decodes the strip or tile that begins at pixel (x, y); `plane` counts where the layout is planar.
  /// At most `rows` rows of it are asked for.
  void read_block(uint32_t x, uint32_t y, uint16_t plane, uint32_t rows, ZeroedBytes& out) const;

  /// Decodes one row of a file of strips, or one plane of it. To be called with rising y; else a strip is
  /// decoded again from its start.
  void read_row(uint32_t y, uint16_t plane, ZeroedBytes& out) const;

  /// Decodes the whole image by the library's own colour conversion. rgba: width * height pixels.
  void read_rgba(std::span<uint32_t> rgba) const;

  [[noreturn]] void fail(const std::string& what) const;

 private:
  struct Memory {
    Bytes bytes;
    uint64_t position;
  };
  // The first message of the library, kept for the error that is thrown later, outside of its C code.
  struct Trouble {
    char message[200];
  };
  struct Close {
    void operator()(TIFF* tiff) const { TIFFClose(tiff); }
  };

  static tmsize_t read(thandle_t handle, void* out, tmsize_t size);
  static tmsize_t write(thandle_t handle, void* data, tmsize_t size);
  static toff_t seek(thandle_t handle, toff_t offset, int whence);
  static int close(thandle_t handle);
  static toff_t size(thandle_t handle);
  static int map(thandle_t handle, void** base, toff_t* size);
  static void unmap(thandle_t handle, void* base, toff_t size);
  static int keep_error(TIFF* tiff, void* trouble, const char* module, const char* format, va_list arguments);
  static int ignore_warning(TIFF* tiff, void* trouble, const char* module, const char* format,
                            va_list arguments);

  void open(uint64_t max_bytes);
  void read_layout();
  template <class T>
  T tag(uint32_t name) const;

  Memory memory_;
  Trouble trouble_{};
  std::unique_ptr<TIFF, Close> tiff_;
  TiffLayout layout_;
};

}  // namespace mii
