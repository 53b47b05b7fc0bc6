#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "medical/frame.h"
#include "mii/provenance.h"

namespace mii {

/// A table that maps real values to grey: the value `first` and all below it to entries[0], the next to
/// entries[1], and so on; values beyond the end to the last. Source: DICOM PS3.3 C.11.2.1.1.
struct LookupTable {
  int32_t first = 0;
  std::vector<uint16_t> entries;  ///< not empty
  int bits = 16;                  ///< of an entry
};

/// Values from low to high are spread over 0 to 255. low == high: everything is 0.
struct ValueRange {
  double low = 0;
  double high = 0;
};

/// The whole range that the stored bits can hold is spread over 0 to 255; 8 bits stay as they are.
struct StoredRange {};

using Mapping = std::variant<VoiWindow, ValueRange, LookupTable, StoredRange>;

/// The grey of a real value under a window: 0 to 255, before it is floored.
/// Source: DICOM PS3.3 C.11.2.1.2 (linear: c - 0.5, w - 1) and C.11.2.1.3 (linear exact, sigmoid).
double windowed(double value, const VoiWindow& window);

/// Maps a frame to 8-bit grey, floored, [rows, cols]; inverted frames come out inverted (255 - grey), padding
/// and NaN black in the end. Throws Error{invalid_argument} for a linear window narrower than 1 or another
/// one not wider than 0. Pure.
std::vector<uint8_t> render(const GreyFrame& frame, const Mapping& mapping);

}  // namespace mii
