#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

namespace mii {

/// One grey frame of measured values, before they are mapped to display grey. Exactly one of `integers` and
/// `reals` holds [rows, cols] values, row-major, top row first.
struct GreyFrame {
  size_t rows = 0;
  size_t cols = 0;

  /// Stored values. Their real value (Hounsfield units, say) is slope * stored + intercept.
  std::vector<int32_t> integers;
  double slope = 1;
  double intercept = 0;

  /// Real values, for what has fractions or does not fit 32 bits. NaN is no value: it is shown black and
  /// counts in no statistics.
  std::vector<double> reals;

  /// Stored values from first to second, both included, mark pixels outside of the image. Integers only.
  std::optional<std::pair<int32_t, int32_t>> padding;

  /// Bits that a stored value may use, and whether it is signed: the range of the profile "stored".
  int bits_stored = 16;
  bool is_signed = false;

  /// MONOCHROME1: the lowest value is shown white.
  bool inverted = false;

  bool is_padding(int32_t stored) const {
    return padding && stored >= padding->first && stored <= padding->second;
  }
};

/// One colour image: [rows, cols, 3] RGB, row-major, top row first.
struct ColourFrame {
  size_t rows = 0;
  size_t cols = 0;
  std::vector<uint8_t> rgb;
};

using Frame = std::variant<GreyFrame, ColourFrame>;

}  // namespace mii
