#include "image/tiff_measured.h"

#include <cmath>
#include <cstring>
#include <string>
#include <type_traits>

namespace mii {
namespace {

// Stands for IEEE 754 binary16, for which C++20 has no type.
struct Half {
  uint16_t bits;
};

// Source: IEEE 754-2008, 3.4: sign, 5 bits of exponent with bias 15, 10 bits of fraction.
double to_real(Half half) {
  const int exponent = half.bits >> 10 & 31, fraction = half.bits & 1023;
  const double sign = half.bits >> 15 != 0 ? -1 : 1;
  if (exponent == 31) return fraction == 0 ? sign * HUGE_VAL : std::nan("");
  return sign * (exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25));
}
template <class T>
double to_real(T value) {
  return static_cast<double>(value);
}

template <class T>
constexpr bool is_integers =
    std::is_same_v<T, int8_t> || std::is_same_v<T, int16_t> || std::is_same_v<T, int32_t>;

/// Calls put(index in the turned image, value) for the first sample of each pixel.
template <class T, class Put>
void for_each_value(const TiffFile& file, const DecodeLimits& limits, const Put& put) {
  const Turn turn(file.layout());
  const size_t apart = sizeof(T) * (file.layout().planar ? 1 : file.layout().samples);
  TiffRows(file, 1, limits).for_each([&](const TiffRow& row) {
    auto index = static_cast<ptrdiff_t>(turn.index_of(row.x, row.y));
    for (size_t i = 0; i < row.pixels; ++i, index += turn.step()) {
      T value;
      std::memcpy(&value, row.planes[0] + i * apart, sizeof(T));
      put(static_cast<size_t>(index), value);
    }
  });
}

template <class T>
void fill(const TiffFile& file, const DecodeLimits& limits, GreyFrame& frame) {
  const size_t pixels = frame.rows * frame.cols;
  if constexpr (is_integers<T>) {
    frame.integers.resize(pixels);
    frame.bits_stored = 8 * sizeof(T);
    frame.is_signed = true;
    for_each_value<T>(file, limits, [&](size_t i, T value) { frame.integers[i] = value; });
  } else {
    frame.reals.resize(pixels);
    for_each_value<T>(file, limits, [&](size_t i, T value) { frame.reals[i] = to_real(value); });
  }
}

using Fill = void (*)(const TiffFile&, const DecodeLimits&, GreyFrame&);

struct Number {
  uint16_t sample_format;
  uint16_t bits;
  Fill fill;
};

constexpr Number kNumbers[] = {
    {SAMPLEFORMAT_INT, 8, fill<int8_t>},     {SAMPLEFORMAT_INT, 16, fill<int16_t>},
    {SAMPLEFORMAT_INT, 32, fill<int32_t>},   {SAMPLEFORMAT_INT, 64, fill<int64_t>},
    {SAMPLEFORMAT_UINT, 32, fill<uint32_t>}, {SAMPLEFORMAT_UINT, 64, fill<uint64_t>},
    {SAMPLEFORMAT_IEEEFP, 16, fill<Half>},   {SAMPLEFORMAT_IEEEFP, 32, fill<float>},
    {SAMPLEFORMAT_IEEEFP, 64, fill<double>},
};

}  // namespace

bool is_measured(const TiffLayout& layout) {
  return layout.sample_format == SAMPLEFORMAT_INT || layout.sample_format == SAMPLEFORMAT_IEEEFP ||
         (layout.sample_format == SAMPLEFORMAT_UINT && layout.bits >= 32);
}

GreyFrame read_measured(const TiffFile& file, const DecodeLimits& limits) {
  const TiffLayout& layout = file.layout();
  const Turn turn(layout);
  GreyFrame frame{.rows = turn.height(), .cols = turn.width()};
  // Programs that write numbers often leave the tag out, and mean nothing by it.
  frame.inverted = layout.photometric_given && layout.photometric == PHOTOMETRIC_MINISWHITE;
  for (const Number& number : kNumbers) {
    if (number.sample_format != layout.sample_format || number.bits != layout.bits) continue;
    number.fill(file, limits, frame);
    return frame;
  }
  throw_invalid("TIFF", "numbers of " + std::to_string(layout.bits) + " bits in sample format " +
                            std::to_string(layout.sample_format) + " are not read");
}

}  // namespace mii
