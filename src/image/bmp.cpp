#include <algorithm>
#include <array>
#include <bit>
#include <vector>

#include "image/byte_reader.h"
#include "image/codec.h"

namespace mii {
namespace {

constexpr size_t kFileHeaderBytes = 14;
constexpr size_t kMasksOffset = kFileHeaderBytes + 40;  // in longer headers, after the short one

enum Compression : uint32_t { kRaw = 0, kRle8 = 1, kRle4 = 2, kBitFields = 3 };

struct Header {
  uint32_t data_offset = 0;
  uint32_t size = 0;
  uint32_t width = 0;
  uint32_t height = 0;
  bool top_down = false;
  uint32_t bits = 0;  // a pixel
  uint32_t compression = kRaw;
  uint32_t colours = 0;
  std::array<uint32_t, 3> masks{};

  bool is_os2() const { return size == 12; }
  uint64_t row_bytes() const { return (static_cast<uint64_t>(width) * bits + 7) / 8; }
  uint64_t stride() const { return (row_bytes() + 3) / 4 * 4; }
};

using Palette = std::array<std::array<uint8_t, 3>, 256>;

void read_windows_header(ByteReader& in, Header& header) {
  header.width = in.u32_le();
  const uint32_t height = in.u32_le();
  header.top_down = (height >> 31) != 0;
  header.height = header.top_down ? 0u - height : height;
  in.take(2);
  header.bits = in.u16_le();
  header.compression = in.u32_le();
  in.take(12);
  header.colours = in.u32_le();
}

void read_os2_header(ByteReader& in, Header& header) {
  header.width = in.u16_le();
  header.height = in.u16_le();
  in.take(2);
  header.bits = in.u16_le();
}

std::array<uint32_t, 3> default_masks(uint32_t bits) {
  if (bits == 16) return {0x7C00, 0x3E0, 0x1F};
  return {0xFF0000, 0xFF00, 0xFF};
}

void read_masks(ByteReader& in, Header& header) {
  header.masks = default_masks(header.bits);
  if (header.compression != kBitFields) return;
  in.seek(kMasksOffset);
  std::array<uint32_t, 3> stored{};
  for (uint32_t& mask : stored) mask = in.u32_le();
  if (stored != std::array<uint32_t, 3>{}) header.masks = stored;
}

void check_layout(const Header& header) {
  const uint32_t bits = header.bits;
  const bool known_depth = bits == 1 || bits == 4 || bits == 8 || bits == 16 || bits == 24 || bits == 32;
  if (!known_depth) {
    throw_invalid("BMP", "has " + std::to_string(bits) + " bits a pixel, expected 1, 4, 8, 16, 24 or 32");
  }
  const bool known_compression = header.compression == kRaw || (header.compression == kRle8 && bits == 8) ||
                                 (header.compression == kRle4 && bits == 4) ||
                                 (header.compression == kBitFields && bits >= 16);
  if (!known_compression) {
    throw_invalid("BMP", "compression " + std::to_string(header.compression) + " with " +
                             std::to_string(bits) + " bits a pixel is not read");
  }
}

Header read_header(ByteReader& in) {
  Header header;
  in.seek(10);
  header.data_offset = in.u32_le();
  header.size = in.u32_le();
  switch (header.size) {
    case 12:
      read_os2_header(in, header);
      break;
    case 40:
    case 52:
    case 56:
    case 64:
    case 108:
    case 124:
      read_windows_header(in, header);
      break;
    default:
      throw_invalid("BMP", "has a header of " + std::to_string(header.size) + " bytes, which is unknown");
  }
  check_layout(header);
  read_masks(in, header);
  if (header.colours == 0) header.colours = header.bits <= 8 ? 1u << header.bits : 0;
  return header;
}

// Indices without an entry are shades of grey, as in Pillow.
Palette read_palette(ByteReader& in, const Header& header) {
  Palette palette;
  for (size_t i = 0; i < palette.size(); ++i) palette[i].fill(static_cast<uint8_t>(i));
  const size_t entry_bytes = header.is_os2() ? 3 : 4;
  in.seek(kFileHeaderBytes + header.size);
  const size_t entries = std::min({size_t{256}, size_t{header.colours}, in.left() / entry_bytes});
  for (size_t i = 0; i < entries; ++i) {
    const auto bgr = in.take(entry_bytes);
    palette[i] = {bgr[2], bgr[1], bgr[0]};
  }
  return palette;
}

void seek_pixels(ByteReader& in, const Header& header) {
  uint64_t offset = header.data_offset;
  // Some writers forget to count the palette.
  if (header.bits <= 8 && offset == kFileHeaderBytes + header.size) offset += uint64_t{4} * header.colours;
  in.seek(offset);
}

class RowPainter {
 public:
  RowPainter(const Header& header, const Palette& palette) : header_(header), palette_(palette) {
    for (size_t c = 0; c < 3; ++c) {
      const uint32_t mask = header.masks[c];
      shift_[c] = mask == 0 ? 0 : std::countr_zero(mask);
      peak_[c] = mask >> shift_[c];
    }
  }

  void paint(const uint8_t* stored, uint8_t* rgb) const {
    switch (header_.bits) {
      case 24:
        return paint_bgr(stored, rgb);
      case 16:
      case 32:
        return paint_masked(stored, rgb);
      default:
        return paint_indices(stored, rgb);
    }
  }

  void paint_index(uint8_t index, uint8_t* rgb) const { std::ranges::copy(palette_[index], rgb); }

 private:
  void paint_bgr(const uint8_t* stored, uint8_t* rgb) const {
    for (size_t x = 0; x < header_.width; ++x, stored += 3, rgb += 3) {
      rgb[0] = stored[2];
      rgb[1] = stored[1];
      rgb[2] = stored[0];
    }
  }

  void paint_masked(const uint8_t* stored, uint8_t* rgb) const {
    const size_t bytes = header_.bits / 8;
    for (size_t x = 0; x < header_.width; ++x, stored += bytes) {
      uint32_t pixel = 0;
      for (size_t b = 0; b < bytes; ++b) pixel |= static_cast<uint32_t>(stored[b]) << (8 * b);
      for (size_t c = 0; c < 3; ++c) *rgb++ = channel(pixel, c);
    }
  }

  uint8_t channel(uint32_t pixel, size_t c) const {
    if (peak_[c] == 0) return 0;
    const uint64_t value = (pixel & header_.masks[c]) >> shift_[c];
    return static_cast<uint8_t>(value * 255 / peak_[c]);
  }

  void paint_indices(const uint8_t* stored, uint8_t* rgb) const {
    const uint32_t bits = header_.bits;
    const uint32_t mask = (1u << bits) - 1;
    for (size_t x = 0; x < header_.width; ++x, rgb += 3) {
      const size_t bit = x * bits;
      paint_index(static_cast<uint8_t>(stored[bit / 8] >> (8 - bits - bit % 8) & mask), rgb);
    }
  }

  const Header& header_;
  const Palette& palette_;
  std::array<int, 3> shift_{};
  std::array<uint32_t, 3> peak_{};
};

// Rows in the file's order.
uint8_t* row_in_file_order(Canvas& canvas, const Header& header, size_t y) {
  return canvas.row(header.top_down ? y : canvas.height() - 1 - y);
}

void decode_raw(ByteReader& in, const Header& header, const RowPainter& painter, Canvas& canvas) {
  for (size_t y = 0; y < canvas.height(); ++y) {
    const auto stored = in.take(header.row_bytes());
    painter.paint(stored.data(), row_in_file_order(canvas, header, y));
    in.seek(in.position() + std::min<uint64_t>(header.stride() - header.row_bytes(), in.left()));
  }
}

// Run-length coding: runs, literal pixels and three escapes. What is skipped keeps index 0.
class RleDecoder {
 public:
  RleDecoder(ByteReader& in, const Header& header, const RowPainter& painter, Canvas& canvas)
      : in_(in), header_(header), painter_(painter), canvas_(canvas), row_(header.width) {}

  void decode() {
    while (y_ < header_.height) {
      const uint8_t count = in_.u8();
      const uint8_t value = in_.u8();
      if (count != 0) {
        run(count, value);
      } else if (!escape(value)) {
        break;
      }
      if (x_ >= header_.width && y_ + 1 == header_.height) finish_row();
    }
    if (x_ > 0 && y_ < header_.height) finish_row();
    if (y_ < header_.height) throw_invalid("BMP", "its run-length data ends early");
  }

 private:
  void put(uint8_t index) {
    if (x_ < header_.width) row_[x_] = index;
    ++x_;
  }

  void finish_row() {
    uint8_t* rgb = row_in_file_order(canvas_, header_, y_);
    for (size_t x = 0; x < row_.size(); ++x) painter_.paint_index(row_[x], rgb + 3 * x);
    std::ranges::fill(row_, uint8_t{0});
    x_ = 0;
    ++y_;
  }

  bool is_rle4() const { return header_.bits == 4; }

  void run(uint8_t count, uint8_t value) {
    const uint8_t even = is_rle4() ? value >> 4 : value;
    const uint8_t odd = is_rle4() ? value & 15 : value;
    const size_t inside = std::min<size_t>(count, header_.width - std::min<size_t>(x_, header_.width));
    for (size_t i = 0; i < inside; ++i) row_[x_ + i] = i % 2 == 0 ? even : odd;
    x_ += count;
  }

  // Returns false at the end of the bitmap.
  bool escape(uint8_t code) {
    switch (code) {
      case 0:
        finish_row();
        return true;
      case 1:
        return false;
      case 2:
        skip();
        return true;
      default:
        literal(code);
        return true;
    }
  }

  void skip() {
    const size_t right = x_ + in_.u8();
    const size_t up = in_.u8();
    for (size_t i = 0; i < up && y_ < header_.height; ++i) finish_row();
    x_ = right;
  }

  void literal(size_t count) {
    const auto stored = in_.take(is_rle4() ? (count + 1) / 2 : count);
    for (size_t i = 0; i < count; ++i) {
      if (!is_rle4()) put(stored[i]);
      if (is_rle4()) put(i % 2 == 0 ? stored[i / 2] >> 4 : stored[i / 2] & 15);
    }
    if (stored.size() % 2 != 0 && in_.left() > 0) in_.take(1);  // padded to 16 bits
  }

  ByteReader& in_;
  const Header& header_;
  const RowPainter& painter_;
  Canvas& canvas_;
  std::vector<uint8_t> row_;
  size_t x_ = 0;
  size_t y_ = 0;
};

}  // namespace

void image::decode_bmp(Bytes bytes, const DecodeOptions&, Canvas& canvas) {
  ByteReader in("BMP", bytes);
  const Header header = read_header(in);
  const Palette palette = header.bits <= 8 ? read_palette(in, header) : Palette{};
  canvas.start(header.width, header.height);
  seek_pixels(in, header);
  const RowPainter painter(header, palette);
  const bool run_length = header.compression == kRle8 || header.compression == kRle4;
  run_length ? RleDecoder(in, header, painter, canvas).decode() : decode_raw(in, header, painter, canvas);
}

}  // namespace mii
