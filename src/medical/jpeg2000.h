#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace mii {

/// What an image is expected to be, as the DICOM data set that it lies in says.
struct ExpectedImage {
  size_t rows = 0;
  size_t cols = 0;
  size_t samples = 1;
};

struct Jpeg2000Image {
  std::vector<int32_t> values;  ///< [rows, cols, samples]
  int precision = 8;            ///< bits of a value
  bool is_signed = false;
};

/// Decodes a JPEG 2000 codestream, High-Throughput ones (ITU-T T.814) too, or JP2 file; the component
/// transform is undone, so YBR_RCT and YBR_ICT come out as RGB. Throws Error{invalid_image} for damaged
/// bytes, or another size or number of components than expected; sizes are checked before memory is
/// allocated.
Jpeg2000Image decode_jpeg2000(std::span<const std::byte> file, const ExpectedImage& expected);

}  // namespace mii
