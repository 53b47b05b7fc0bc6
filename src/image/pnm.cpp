#include <algorithm>
#include <cctype>
#include <cmath>
#include <vector>

#include "image/byte_reader.h"
#include "image/codec.h"
#include "image/colour.h"

namespace mii {
namespace {

bool is_space(uint8_t c) { return std::isspace(c) != 0; }

struct Header {
  char kind = 0;  // '1' to '6'
  uint64_t width = 0;
  uint64_t height = 0;
  uint32_t max_value = 1;

  bool is_bitmap() const { return kind == '1' || kind == '4'; }
  bool is_colour() const { return kind == '3' || kind == '6'; }
  bool is_plain() const { return kind <= '3'; }
  bool is_grey16() const { return !is_colour() && max_value > 255; }
};

/// Decimal numbers between white space, with comments from # to the end of the line.
class TokenReader {
 public:
  explicit TokenReader(ByteReader& in) : in_(in) {}

  // Leaves the reader just after the single white space that ends the number, as the binary kinds need it.
  uint32_t number() {
    uint8_t c = next();
    if (std::isdigit(c) == 0)
      throw_invalid("PNM", "expected a number at byte " + std::to_string(in_.position() - 1));
    uint64_t value = 0;
    while (std::isdigit(c) != 0) {
      value = value * 10 + (c - '0');
      if (value > UINT32_MAX)
        throw_invalid("PNM", "a number above 2^32 at byte " + std::to_string(in_.position() - 1));
      if (in_.left() == 0) return static_cast<uint32_t>(value);
      c = in_.u8();
    }
    if (c == '#') skip_comment();
    if (c != '#' && !is_space(c))
      throw_invalid("PNM", "expected a digit at byte " + std::to_string(in_.position() - 1));
    return static_cast<uint32_t>(value);
  }

  // One digit of a plain bitmap; white space between them is optional.
  bool bit() {
    const uint8_t c = next();
    if (c != '0' && c != '1')
      throw_invalid("PNM", "expected 0 or 1 at byte " + std::to_string(in_.position() - 1));
    return c == '1';
  }

 private:
  uint8_t next() {
    uint8_t c = in_.u8();
    while (is_space(c) || c == '#') {
      if (c == '#') skip_comment();
      c = in_.u8();
    }
    return c;
  }

  void skip_comment() {
    while (in_.left() > 0) {
      const uint8_t c = in_.u8();
      if (c == '\n' || c == '\r') return;
    }
  }

  ByteReader& in_;
};

Header read_header(ByteReader& in) {
  Header header;
  header.kind = static_cast<char>(in.take(2)[1]);
  TokenReader tokens(in);
  header.width = tokens.number();
  header.height = tokens.number();
  if (!header.is_bitmap()) header.max_value = tokens.number();
  if (header.max_value == 0 || header.max_value > 65535) {
    throw_invalid("PNM",
                  "has a largest value of " + std::to_string(header.max_value) + ", expected 1 to 65535");
  }
  return header;
}

/// Scales values from [0, max_value] to [0, out_max] as Pillow does: rounded to nearest, ties to even.
std::vector<uint16_t> scale_table(uint32_t max_value, uint32_t out_max) {
  std::vector<uint16_t> table(max_value + 1);
  for (uint32_t v = 0; v <= max_value; ++v) {
    const double share = static_cast<double>(v) / static_cast<double>(max_value);
    table[v] = static_cast<uint16_t>(std::nearbyint(share * static_cast<double>(out_max)));
  }
  return table;
}

/// Reads the samples row by row and scales them.
class SampleReader {
 public:
  SampleReader(ByteReader& in, const Header& header)
      : in_(in),
        tokens_(in),
        header_(header),
        scaled_(scale_table(header.max_value, header.is_grey16() ? 65535 : 255)) {}

  template <class T>
  void read(std::span<T> row) {
    if (header_.is_plain()) return read_plain(row);
    const size_t bytes = header_.max_value > 255 ? 2 : 1;
    const auto stored = in_.take(row.size() * bytes);
    for (size_t i = 0; i < row.size(); ++i) {
      const uint32_t value = bytes == 1 ? stored[i] : load_be<uint16_t>(&stored[2 * i]);
      row[i] = static_cast<T>(scaled_[std::min(value, header_.max_value)]);
    }
  }

 private:
  template <class T>
  void read_plain(std::span<T> row) {
    for (T& out : row) {
      const uint32_t value = tokens_.number();
      if (value > header_.max_value) {
        throw_invalid("PNM", "the value " + std::to_string(value) + " is above the largest, " +
                                 std::to_string(header_.max_value));
      }
      out = static_cast<T>(scaled_[value]);
    }
  }

  ByteReader& in_;
  TokenReader tokens_;
  const Header& header_;
  std::vector<uint16_t> scaled_;
};

void paint_grey(std::span<const uint8_t> grey, uint8_t* rgb) {
  for (const uint8_t shade : grey) rgb = std::fill_n(rgb, 3, shade);
}

// A set bit is black.
void decode_bitmap(ByteReader& in, const Header& header, Canvas& canvas) {
  TokenReader tokens(in);
  std::vector<uint8_t> row(canvas.width());
  for (size_t y = 0; y < canvas.height(); ++y) {
    if (header.is_plain()) {
      for (uint8_t& shade : row) shade = tokens.bit() ? 0 : 255;
    } else {
      const auto stored = in.take((row.size() + 7) / 8);
      for (size_t x = 0; x < row.size(); ++x) row[x] = (stored[x / 8] >> (7 - x % 8) & 1) != 0 ? 0 : 255;
    }
    paint_grey(row, canvas.row(y));
  }
}

void decode_grey16(SampleReader& samples, Grey16 rule, Canvas& canvas) {
  const size_t pixels = canvas.width() * canvas.height();
  const auto grey = std::make_unique_for_overwrite<uint16_t[]>(pixels);
  for (size_t y = 0; y < canvas.height(); ++y) {
    samples.read(std::span(grey.get() + y * canvas.width(), canvas.width()));
  }
  grey16_to_rgb({grey.get(), pixels}, rule, canvas.row(0));
}

void decode_grey(SampleReader& samples, Canvas& canvas) {
  std::vector<uint8_t> row(canvas.width());
  for (size_t y = 0; y < canvas.height(); ++y) {
    samples.read(std::span(row));
    paint_grey(row, canvas.row(y));
  }
}

void decode_colour(SampleReader& samples, Canvas& canvas) {
  for (size_t y = 0; y < canvas.height(); ++y) samples.read(std::span(canvas.row(y), 3 * canvas.width()));
}

}  // namespace

void image::decode_pnm(Bytes bytes, const DecodeOptions& options, Canvas& canvas) {
  ByteReader in("PNM", bytes);
  const Header header = read_header(in);
  canvas.start(header.width, header.height);
  SampleReader samples(in, header);
  if (header.is_bitmap()) {
    decode_bitmap(in, header, canvas);
  } else if (header.is_grey16()) {
    decode_grey16(samples, options.grey16, canvas);
  } else {
    header.is_colour() ? decode_colour(samples, canvas) : decode_grey(samples, canvas);
  }
}

}  // namespace mii
