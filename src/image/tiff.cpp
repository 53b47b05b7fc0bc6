#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <vector>

#include "image/colour.h"
#include "image/medical_codec.h"
#include "image/tiff_measured.h"
#include "image/tiff_rows.h"

namespace mii {
namespace {

constexpr uint16_t kMaxSamples = 8;
// Measured values, and what the library paints, take several times the memory of RGB bytes: an image of them
// may have a fifth of the pixels.
constexpr uint64_t kFewerPixels = 5;

// How stored samples become an image.
enum class Colours { grey, grey16, measured, palette, rgb, cmyk, library };

bool is_read(uint16_t compression) {
  constexpr uint16_t kRead[] = {COMPRESSION_NONE,      COMPRESSION_CCITTRLE,  COMPRESSION_CCITTRLEW,
                                COMPRESSION_CCITTFAX3, COMPRESSION_CCITTFAX4, COMPRESSION_LZW,
                                COMPRESSION_OJPEG,     COMPRESSION_JPEG,      COMPRESSION_ADOBE_DEFLATE,
                                COMPRESSION_DEFLATE,   COMPRESSION_PACKBITS};
  return std::ranges::find(kRead, compression) != std::end(kRead);
}

[[noreturn]] void throw_not_read(const std::string& what, uint32_t value) {
  throw_invalid("TIFF", what + " " + std::to_string(value) + " is not read");
}

Colours grey_or_palette(const TiffLayout& layout) {
  const uint16_t bits = layout.bits;
  const bool small = bits == 1 || bits == 2 || bits == 4 || bits == 8;
  if (layout.photometric == PHOTOMETRIC_PALETTE && small) return Colours::palette;
  if (layout.photometric != PHOTOMETRIC_PALETTE && is_measured(layout)) return Colours::measured;
  if (layout.photometric != PHOTOMETRIC_PALETTE && (bits == 12 || bits == 16)) return Colours::grey16;
  if (layout.photometric != PHOTOMETRIC_PALETTE && small) return Colours::grey;
  throw_not_read("a grey or palette image with bits a sample of", bits);
}

Colours full_colours(const TiffLayout& layout, Colours colours, uint16_t channels) {
  if (layout.bits != 8 && layout.bits != 16)
    throw_not_read("a colour image with bits a sample of", layout.bits);
  if (layout.samples < channels) throw_not_read("a colour image with samples a pixel of", layout.samples);
  return colours;
}

Colours ycbcr_colours(const TiffLayout& layout) {
  const bool by_jpeg = layout.compression == COMPRESSION_JPEG && !layout.planar;
  return by_jpeg ? full_colours(layout, Colours::rgb, 3) : Colours::library;
}

Colours colours_of(const TiffLayout& layout) {
  if (layout.compression == COMPRESSION_OJPEG) return Colours::library;
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
  if (layout.sample_format != SAMPLEFORMAT_UINT && layout.sample_format != SAMPLEFORMAT_VOID &&
      colours != Colours::measured) {
    throw_not_read("sample format", layout.sample_format);
  }
}

/// Unpacks `count` samples of 1 to 16 bits, most significant bit first; 16 bits are in the machine's byte
/// order. Writes every `step`-th value of out.
void unpack_samples(const uint8_t* stored, uint32_t bits, size_t count, size_t step, uint16_t* out) {
  if (bits == 8) {
    for (size_t i = 0; i < count; ++i) out[i * step] = stored[i];
  } else if (bits == 16 && step == 1) {
    std::memcpy(out, stored, 2 * count);
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

// How many samples of a pixel decide its colour.
size_t samples_wanted(const TiffLayout& layout, Colours colours) {
  if (colours == Colours::cmyk) return 4;
  if (colours == Colours::rgb) return layout.premultiplied && layout.samples > 3 ? 4 : 3;
  return 1;
}

/// Turns rows of stored samples into rows of the image.
class RowPainter {
 public:
  RowPainter(const TiffFile& file, Colours colours)
      : layout_(file.layout()),
        colours_(colours),
        samples_apart_(layout_.planar ? samples_wanted(layout_, colours) : layout_.samples),
        samples_(kMaxTiffPieceWidth * samples_apart_) {
    if (colours == Colours::palette) read_palette(file.palette());
    if (colours == Colours::grey) make_grey_shades();
  }

  void paint(const TiffRow& row, uint8_t* rgb) {
    unpack(row);
    switch (colours_) {
      case Colours::rgb:
        return paint_rgb(row.pixels, rgb);
      case Colours::cmyk:
        return paint_cmyk(row.pixels, rgb);
      default:
        return paint_shades(row.pixels, rgb);
    }
  }

  // Writes every step-th value of grey.
  void paint_grey16(const TiffRow& row, uint16_t* grey, ptrdiff_t step) {
    unpack(row);
    const uint32_t top = (1u << layout_.bits) - 1;
    const uint32_t flip = layout_.photometric == PHOTOMETRIC_MINISWHITE ? top : 0;
    // 12 bits are moved up, so that the high byte is always the same share of the full range.
    for (size_t i = 0; i < row.pixels; ++i, grey += step) {
      *grey = static_cast<uint16_t>((samples_[i * samples_apart_] ^ flip) << (16 - layout_.bits));
    }
  }

 private:
  // samples_: [pixels, samples_apart_]
  void unpack(const TiffRow& row) {
    const size_t planes = row.planes.size();
    for (size_t p = 0; p < planes; ++p) {
      unpack_samples(row.planes[p], layout_.bits, row.pixels * samples_apart_ / planes, planes,
                     samples_.data() + p);
    }
  }

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

  void paint_shades(size_t pixels, uint8_t* rgb) const {
    for (size_t i = 0; i < pixels; ++i) std::ranges::copy(shades_[samples_[i * samples_apart_]], rgb + 3 * i);
  }

  void paint_rgb(size_t pixels, uint8_t* rgb) const {
    const uint16_t* samples = samples_.data();
    for (size_t i = 0; i < pixels; ++i, samples += samples_apart_, rgb += 3) {
      for (size_t c = 0; c < 3; ++c) rgb[c] = byte_of(samples[c]);
      if (layout_.premultiplied && layout_.samples > 3) divide_by_alpha(byte_of(samples[3]), rgb);
    }
  }

  void paint_cmyk(size_t pixels, uint8_t* rgb) const {
    const uint16_t* samples = samples_.data();
    for (size_t i = 0; i < pixels; ++i, samples += samples_apart_) {
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
  size_t samples_apart_;
  std::vector<uint16_t> samples_;
  std::array<std::array<uint8_t, 3>, 256> shades_{};
};

/// Puts a row's pixels where they belong in the turned image.
void place(const uint8_t* row, const TiffRow& from, const Turn& turn, uint8_t* rgb) {
  auto index = static_cast<ptrdiff_t>(turn.index_of(from.x, from.y));
  for (size_t i = 0; i < from.pixels; ++i, index += turn.step()) std::memcpy(rgb + 3 * index, row + 3 * i, 3);
}

void read_rgb(const TiffFile& file, Colours colours, const DecodeOptions& options, uint8_t* rgb) {
  RowPainter painter(file, colours);
  const Turn turn(file.layout());
  std::vector<uint8_t> line(size_t{3} * kMaxTiffPieceWidth);
  TiffRows(file, samples_wanted(file.layout(), colours), options.limits).for_each([&](const TiffRow& row) {
    const bool straight = turn.step() == 1;
    painter.paint(row, straight ? rgb + 3 * turn.index_of(row.x, row.y) : line.data());
    if (!straight) place(line.data(), row, turn, rgb);
  });
}

void read_grey16(const TiffFile& file, const DecodeOptions& options, uint8_t* rgb) {
  RowPainter painter(file, Colours::grey16);
  const Turn turn(file.layout());
  const size_t pixels = turn.width() * turn.height();
  const auto grey = std::make_unique_for_overwrite<uint16_t[]>(pixels);
  TiffRows(file, 1, options.limits).for_each([&](const TiffRow& row) {
    painter.paint_grey16(row, grey.get() + turn.index_of(row.x, row.y), turn.step());
  });
  grey16_to_rgb({grey.get(), pixels}, options.grey16, rgb);
}

void read_by_library(const TiffFile& file, uint8_t* rgb) {
  const Turn turn(file.layout());
  const TiffLayout& layout = file.layout();
  const size_t pixels = turn.width() * turn.height();
  const auto rgba = std::make_unique_for_overwrite<uint32_t[]>(pixels);
  file.read_rgba({rgba.get(), pixels});
  const uint32_t* pixel = rgba.get();
  for (size_t y = 0; y < layout.height; ++y) {
    uint8_t* out = rgb + 3 * turn.index_of(0, y);
    for (size_t x = 0; x < layout.width; ++x, ++pixel, out += 3 * turn.step()) {
      out[0] = static_cast<uint8_t>(TIFFGetR(*pixel));
      out[1] = static_cast<uint8_t>(TIFFGetG(*pixel));
      out[2] = static_cast<uint8_t>(TIFFGetB(*pixel));
    }
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
  read_rgb(file, colours, options, rgb);
}

}  // namespace

void image::decode_tiff(Bytes bytes, const DecodeOptions& options, Canvas& canvas) {
  TiffFile file(bytes, options.limits.max_pixels);
  const TiffLayout& layout = file.layout();
  const Colours colours = colours_of(layout);
  check_layout(layout, colours);
  const bool heavy = colours == Colours::measured || colours == Colours::library;
  check_size(layout.width, layout.height,
             {.max_pixels = options.limits.max_pixels / (heavy ? kFewerPixels : 1)});
  check_blocks(layout, options.limits);
  if (colours == Colours::measured)
    return paint_frame(read_measured(file, options.limits), {}, options, canvas);
  const Turn turn(layout);
  read_pixels(file, colours, options, canvas.start(turn.width(), turn.height()));
}

}  // namespace mii
