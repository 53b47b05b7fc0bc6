#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <vector>

#include "image/codec.h"
#include "image/colour.h"
#include "image/tiff_file.h"

namespace mii {
namespace {

constexpr uint16_t kMaxSamples = 8;
constexpr uint64_t kMaxBytesPerPixel = kMaxSamples * 2;

// How stored samples become a picture.
enum class Colours { grey, grey16, palette, rgb, cmyk, library };

bool is_read(uint16_t compression) {
  constexpr uint16_t kRead[] = {COMPRESSION_NONE,      COMPRESSION_CCITTRLE,      COMPRESSION_CCITTRLEW,
                                COMPRESSION_CCITTFAX3, COMPRESSION_CCITTFAX4,     COMPRESSION_LZW,
                                COMPRESSION_JPEG,      COMPRESSION_ADOBE_DEFLATE, COMPRESSION_DEFLATE,
                                COMPRESSION_PACKBITS};
  return std::ranges::find(kRead, compression) != std::end(kRead);
}

[[noreturn]] void throw_not_read(const std::string& what, uint32_t value) {
  throw_invalid("TIFF", what + " " + std::to_string(value) + " is not read");
}

Colours grey_or_palette(const TiffLayout& layout) {
  const uint16_t bits = layout.bits;
  const bool small = bits == 1 || bits == 2 || bits == 4 || bits == 8;
  if (layout.photometric == PHOTOMETRIC_PALETTE && small) return Colours::palette;
  if (layout.photometric != PHOTOMETRIC_PALETTE && (bits == 12 || bits == 16)) return Colours::grey16;
  if (layout.photometric != PHOTOMETRIC_PALETTE && small) return Colours::grey;
  throw_not_read("a grey or palette picture with bits a sample of", bits);
}

Colours full_colours(const TiffLayout& layout, Colours colours, uint16_t channels) {
  if (layout.bits != 8 && layout.bits != 16)
    throw_not_read("a colour picture with bits a sample of", layout.bits);
  if (layout.samples < channels) throw_not_read("a colour picture with samples a pixel of", layout.samples);
  return colours;
}

Colours ycbcr_colours(const TiffLayout& layout) {
  const bool by_jpeg = layout.compression == COMPRESSION_JPEG && !layout.planar;
  return by_jpeg ? full_colours(layout, Colours::rgb, 3) : Colours::library;
}

Colours colours_of(const TiffLayout& layout) {
  switch (layout.photometric) {
    case PHOTOMETRIC_MINISWHITE:
    case PHOTOMETRIC_MINISBLACK:
    case PHOTOMETRIC_PALETTE:
      return grey_or_palette(layout);
    case PHOTOMETRIC_RGB:
      return full_colours(layout, Colours::rgb, 3);
    case PHOTOMETRIC_SEPARATED:
      return full_colours(layout, Colours::cmyk, 4);
    case PHOTOMETRIC_YCBCR:
      return ycbcr_colours(layout);
    default:
      throw_not_read("photometric interpretation", layout.photometric);
  }
}

void check_layout(const TiffLayout& layout, Colours colours) {
  if (!is_read(layout.compression)) throw_not_read("compression", layout.compression);
  if (layout.samples == 0 || layout.samples > kMaxSamples) {
    throw_not_read("a number of samples a pixel of", layout.samples);
  }
  const bool is_signed_grey = layout.sample_format == SAMPLEFORMAT_INT && colours == Colours::grey16;
  if (layout.sample_format != SAMPLEFORMAT_UINT && layout.sample_format != SAMPLEFORMAT_VOID &&
      !is_signed_grey) {
    throw_not_read("sample format", layout.sample_format);
  }
}

/// Unpacks `count` samples of 1 to 16 bits, most significant bit first; 16 bits are in the machine's byte
/// order. Writes every `step`-th value of out.
void unpack_samples(const uint8_t* stored, uint32_t bits, size_t count, size_t step, uint16_t* out) {
  if (bits == 8) {
    for (size_t i = 0; i < count; ++i) out[i * step] = stored[i];
  } else if (bits == 16) {
    for (size_t i = 0; i < count; ++i) std::memcpy(out + i * step, stored + 2 * i, 2);
  } else {
    for (size_t i = 0; i < count; ++i) {
      uint32_t value = 0;
      for (size_t bit = i * bits; bit < (i + 1) * bits; ++bit)
        value = value << 1 | (stored[bit / 8] >> (7 - bit % 8) & 1);
      out[i * step] = static_cast<uint16_t>(value);
    }
  }
}

/// Turns rows of unpacked samples into rows of the picture.
class RowPainter {
 public:
  RowPainter(const TiffFile& file, Colours colours) : layout_(file.layout()), colours_(colours) {
    if (colours == Colours::palette) read_palette(file.palette());
    if (colours == Colours::grey) make_grey_shades();
  }

  // samples: [pixels, layout.samples]
  void paint(const uint16_t* samples, size_t pixels, uint8_t* rgb) const {
    switch (colours_) {
      case Colours::rgb:
        return paint_rgb(samples, pixels, rgb);
      case Colours::cmyk:
        return paint_cmyk(samples, pixels, rgb);
      default:
        return paint_shades(samples, pixels, rgb);
    }
  }

  void paint_grey16(const uint16_t* samples, size_t pixels, uint16_t* grey) const {
    const uint32_t top = (1u << layout_.bits) - 1;
    const uint32_t flip = (layout_.photometric == PHOTOMETRIC_MINISWHITE ? top : 0u) ^
                          (layout_.sample_format == SAMPLEFORMAT_INT ? (top + 1) / 2 : 0u);
    // 12 bits are moved up, so that the high byte is always the same share of the full range.
    for (size_t i = 0; i < pixels; ++i) {
      grey[i] = static_cast<uint16_t>((samples[i * layout_.samples] ^ flip) << (16 - layout_.bits));
    }
  }

 private:
  void read_palette(const TiffFile::Palette& palette) {
    const auto high = [](uint16_t v) { return static_cast<uint8_t>(v >> 8); };
    for (size_t i = 0; i < (size_t{1} << layout_.bits); ++i) {
      shades_[i] = {high(palette.red[i]), high(palette.green[i]), high(palette.blue[i])};
    }
  }

  void make_grey_shades() {
    const size_t top = (size_t{1} << layout_.bits) - 1;
    for (size_t i = 0; i <= top; ++i) {
      const size_t light = layout_.photometric == PHOTOMETRIC_MINISWHITE ? top - i : i;
      shades_[i].fill(static_cast<uint8_t>(light * 255 / top));
    }
  }

  uint8_t byte_of(uint16_t sample) const {
    return static_cast<uint8_t>(layout_.bits == 16 ? sample >> 8 : sample);
  }

  void paint_shades(const uint16_t* samples, size_t pixels, uint8_t* rgb) const {
    for (size_t i = 0; i < pixels; ++i) std::ranges::copy(shades_[samples[i * layout_.samples]], rgb + 3 * i);
  }

  void paint_rgb(const uint16_t* samples, size_t pixels, uint8_t* rgb) const {
    for (size_t i = 0; i < pixels; ++i, samples += layout_.samples, rgb += 3) {
      for (size_t c = 0; c < 3; ++c) rgb[c] = byte_of(samples[c]);
      if (layout_.premultiplied && layout_.samples > 3) divide_by_alpha(byte_of(samples[3]), rgb);
    }
  }

  void paint_cmyk(const uint16_t* samples, size_t pixels, uint8_t* rgb) const {
    for (size_t i = 0; i < pixels; ++i, samples += layout_.samples) {
      uint8_t inks[4];
      for (size_t c = 0; c < 4; ++c) inks[c] = byte_of(samples[c]);
      cmyk_to_rgb(inks, 1, rgb + 3 * i);
    }
  }

  static void divide_by_alpha(uint32_t alpha, uint8_t* rgb) {
    for (size_t c = 0; c < 3; ++c) {
      rgb[c] = alpha == 0 ? uint8_t{0} : static_cast<uint8_t>(std::min(255u, rgb[c] * 255u / alpha));
    }
  }

  const TiffLayout& layout_;
  Colours colours_;
  std::array<std::array<uint8_t, 3>, 256> shades_{};
};

/// Reads the strips or tiles and hands on their rows, unpacked.
class BlockReader {
 public:
  // Throws Error{image_too_large} when a strip or tile has more pixels than a picture may have.
  BlockReader(const TiffFile& file, const DecodeLimits& limits) : file_(file), layout_(file.layout()) {
    check_size(layout_.block_width, layout_.block_height, limits);
    const auto bytes = static_cast<size_t>(layout_.block_row_bytes() * layout_.block_height);
    for (size_t plane = 0; plane < (layout_.planar ? layout_.samples : 1u); ++plane)
      planes_.emplace_back(bytes);
    samples_.resize(size_t{layout_.block_width} * layout_.samples);
  }

  // Calls use(x, y, pixels, samples) for each row of each block, clipped to the picture.
  template <class Use>
  void for_each_row(const Use& use) {
    for (uint32_t y = 0; y < layout_.height; y += rows_from(y)) {
      for (uint32_t x = 0; x < layout_.width; x += pixels_from(x)) {
        read_block(x, y);
        for (uint32_t r = 0; r < rows_from(y); ++r) {
          unpack_row(r, pixels_from(x));
          use(x, y + r, pixels_from(x), samples_.data());
        }
      }
    }
  }

 private:
  uint32_t pixels_from(uint32_t x) const { return std::min(layout_.block_width, layout_.width - x); }
  uint32_t rows_from(uint32_t y) const { return std::min(layout_.block_height, layout_.height - y); }

  void read_block(uint32_t x, uint32_t y) {
    for (size_t p = 0; p < planes_.size(); ++p) {
      file_.read_block(x, y, static_cast<uint16_t>(p), rows_from(y), planes_[p]);
    }
  }

  void unpack_row(uint32_t r, uint32_t pixels) {
    const size_t count = size_t{pixels} * layout_.samples / planes_.size();
    for (size_t p = 0; p < planes_.size(); ++p) {
      const uint8_t* stored = planes_[p].data() + r * layout_.block_row_bytes();
      unpack_samples(stored, layout_.bits, count, planes_.size(), samples_.data() + p);
    }
  }

  const TiffFile& file_;
  const TiffLayout& layout_;
  std::vector<ZeroedBytes> planes_;
  std::vector<uint16_t> samples_;
};

void read_rgb(const TiffFile& file, Colours colours, const DecodeLimits& limits, uint8_t* rgb) {
  const RowPainter painter(file, colours);
  const size_t width = file.layout().width;
  BlockReader(file, limits).for_each_row([&](size_t x, size_t y, size_t pixels, const uint16_t* samples) {
    painter.paint(samples, pixels, rgb + 3 * (y * width + x));
  });
}

void read_grey16(const TiffFile& file, const DecodeOptions& options, uint8_t* rgb) {
  const RowPainter painter(file, Colours::grey16);
  const size_t width = file.layout().width;
  const size_t pixels_in_all = width * file.layout().height;
  const auto grey = std::make_unique_for_overwrite<uint16_t[]>(pixels_in_all);
  BlockReader(file, options.limits)
      .for_each_row([&](size_t x, size_t y, size_t pixels, const uint16_t* samples) {
        painter.paint_grey16(samples, pixels, grey.get() + y * width + x);
      });
  grey16_to_rgb({grey.get(), pixels_in_all}, options.grey16, rgb);
}

void read_by_library(const TiffFile& file, uint8_t* rgb) {
  const size_t pixels = size_t{file.layout().width} * file.layout().height;
  const auto rgba = std::make_unique_for_overwrite<uint32_t[]>(pixels);
  file.read_rgba({rgba.get(), pixels});
  for (size_t i = 0; i < pixels; ++i, rgb += 3) {
    rgb[0] = static_cast<uint8_t>(TIFFGetR(rgba[i]));
    rgb[1] = static_cast<uint8_t>(TIFFGetG(rgba[i]));
    rgb[2] = static_cast<uint8_t>(TIFFGetB(rgba[i]));
  }
}

void read_pixels(TiffFile& file, Colours colours, const DecodeOptions& options, uint8_t* rgb) {
  switch (colours) {
    case Colours::library:
      return read_by_library(file, rgb);
    case Colours::grey16:
      return read_grey16(file, options, rgb);
    default:
      break;
  }
  if (file.layout().photometric == PHOTOMETRIC_YCBCR) file.convert_ycbcr_to_rgb();
  read_rgb(file, colours, options.limits, rgb);
}

/// Where the stored picture goes for one value of the orientation tag (TIFF 6.0, section 8).
struct Turn {
  bool transposed;
  bool flip_x;  // of the stored picture
  bool flip_y;

  explicit Turn(uint16_t orientation)
      : transposed(orientation >= 5 && orientation <= 8),
        flip_x(orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8),
        flip_y(orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7) {}

  bool is_none() const { return !transposed && !flip_x && !flip_y; }
};

void paint_turned(const uint8_t* stored, size_t width, size_t height, const Turn& turn, Canvas& canvas) {
  for (size_t y = 0; y < canvas.height(); ++y) {
    uint8_t* out = canvas.row(y);
    for (size_t x = 0; x < canvas.width(); ++x, out += 3) {
      const size_t along = turn.transposed ? y : x;
      const size_t down = turn.transposed ? x : y;
      const size_t from_x = turn.flip_x ? width - 1 - along : along;
      const size_t from_y = turn.flip_y ? height - 1 - down : down;
      std::memcpy(out, stored + 3 * (from_y * width + from_x), 3);
    }
  }
}

}  // namespace

void decode_tiff(Bytes bytes, const DecodeOptions& options, Canvas& canvas) {
  TiffFile file(bytes, options.limits.max_pixels * kMaxBytesPerPixel);
  const TiffLayout& layout = file.layout();
  const Colours colours = colours_of(layout);
  check_layout(layout, colours);
  const Turn turn(layout.orientation);
  const size_t width = layout.width;
  const size_t height = layout.height;
  turn.transposed ? canvas.start(height, width) : canvas.start(width, height);
  if (turn.is_none()) {
    read_pixels(file, colours, options, canvas.row(0));
  } else {
    const auto stored = std::make_unique_for_overwrite<uint8_t[]>(width * height * 3);
    read_pixels(file, colours, options, stored.get());
    paint_turned(stored.get(), width, height, turn, canvas);
  }
}

}  // namespace mii
