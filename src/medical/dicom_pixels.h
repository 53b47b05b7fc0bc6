#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "medical/dicom_structure.h"
#include "medical/frame.h"

namespace mii::medical {

/// How samples lie in the pixel data. Source: DICOM PS3.3 C.7.6.3 and PS3.5 section 8.
struct PixelLayout {
  size_t rows = 0;
  size_t cols = 0;
  size_t samples = 1;  ///< 1, 3 or 4
  size_t frames = 1;
  int bits_allocated = 8;  ///< 1, 8, 16, 32 or 64
  int bits_stored = 8;
  int high_bit = 7;
  bool is_signed = false;
  bool planar = false;  ///< all red samples, then all green ones
  std::string photometric_interpretation;

  size_t pixels() const { return rows * cols; }
};

/// The samples of one frame, little endian, in 1, 2, 4 or 8 bytes each.
struct RawFrame {
  std::unique_ptr<uint8_t[]> owned;  ///< when they had to be decoded
  std::span<const uint8_t> bytes;
  int bytes_per_sample = 1;
  bool planar = false;
  int bits_stored = 8;
  int high_bit = 7;
  bool is_signed = false;
  std::string photometric_interpretation;  ///< after decoding: "RGB" where a codec has converted
};

/// One frame, decoded from its transfer syntax. Throws Error{invalid_image} for damage or missing bytes,
/// Error{unsupported} for what cannot be decoded.
RawFrame read_frame(const DicomStructure& structure, const PixelLayout& layout, size_t frame);

/// Sample i as an integer: the stored bits, sign-extended.
class SampleReader {
 public:
  explicit SampleReader(const RawFrame& frame);
  int64_t operator()(size_t i) const;

 private:
  const uint8_t* bytes_;
  int bytes_per_sample_;
  int shift_up_,
      shift_down_;  // of a 64-bit value: shift out the bits above the stored ones, then those below
  bool is_signed_;
};

/// All samples, for stored bits that int32 can hold.
void read_integers(const RawFrame& frame, std::span<int32_t> values);

/// RGB or any YBR to 8-bit RGB. Precondition: three samples.
ColourFrame to_colour(const RawFrame& frame, const PixelLayout& layout);

}  // namespace mii::medical
