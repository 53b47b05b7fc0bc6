#include <bit>
#include <cmath>
#include <type_traits>
#include <utility>
#include <vector>

#include <nifti/nifti2_io.h>

#include "core/bytes.h"
#include "mii/error.h"

#include "medical/nifti_voxels.h"

namespace mii {
namespace {

using Bytes = std::span<const std::byte>;

template <size_t N>
using Bits =
    std::conditional_t<N == 1, uint8_t,
                       std::conditional_t<N == 2, uint16_t, std::conditional_t<N == 4, uint32_t, uint64_t>>>;

struct Voxels {
  Bytes bytes;
  std::endian order;

  /// The index-th number of type T from the start.
  template <class T>
  T at(size_t index) const {
    return std::bit_cast<T>(load<Bits<sizeof(T)>>(bytes.data() + index * sizeof(T), order));
  }
};

// Stands for IEEE 754 binary128, for which C++20 has no type.
struct Binary128 {};

// Source: IEEE 754-2008, 3.4: sign, 15 bits of exponent with bias 16383, 112 bits of fraction.
double binary128_to_double(uint64_t high, uint64_t low) {
  const int exponent = static_cast<int>(high >> 48 & 0x7FFF);
  const uint64_t fraction = high & 0xFFFF'FFFF'FFFF;
  const double sign = high >> 63 != 0 ? -1 : 1;
  if (exponent == 0x7FFF) return fraction == 0 && low == 0 ? sign * HUGE_VAL : std::nan("");
  // The leading 64 bits of 1.fraction; the lowest stands for all that follow, so that the conversion to
  // double, which drops eleven of them, rounds once and right. Subnormal numbers are far below double's.
  const uint64_t leading = uint64_t{1} << 48 | fraction;
  const uint64_t mantissa = leading << 15 | low >> 49 | uint64_t{low << 15 != 0};
  return exponent == 0 ? sign * 0 : sign * std::ldexp(static_cast<double>(mantissa), exponent - 16383 - 63);
}

template <class T>
double real_at(const Voxels& voxels, size_t index) {
  return static_cast<double>(voxels.at<T>(index));
}
template <>
double real_at<Binary128>(const Voxels& voxels, size_t index) {
  const auto first = voxels.at<uint64_t>(2 * index), second = voxels.at<uint64_t>(2 * index + 1);
  return voxels.order == std::endian::little ? binary128_to_double(second, first)
                                             : binary128_to_double(first, second);
}

int32_t bit_at(const Voxels& voxels, size_t index) {
  return static_cast<int32_t>(std::to_integer<unsigned>(voxels.bytes[index / 8]) >> index % 8 & 1);
}

// Calls read(voxel index) for each pixel of a cut, row by row.
template <class Read>
auto gather(const VoxelCut& cut, const Read& read) {
  std::vector<decltype(read(size_t{}))> values;
  values.reserve(cut.rows * cut.cols);
  for (size_t r = 0; r < cut.rows; ++r) {
    int64_t voxel = cut.first + static_cast<int64_t>(r) * cut.down;
    for (size_t c = 0; c < cut.cols; ++c, voxel += cut.right) values.push_back(read(size_t(voxel)));
  }
  return values;
}

template <class T>
void fill_integers(const VoxelCut& cut, const Voxels& voxels, GreyFrame& frame) {
  frame.integers = gather(cut, [&](size_t i) { return static_cast<int32_t>(voxels.at<T>(i)); });
  frame.bits_stored = static_cast<int>(8 * sizeof(T));
  frame.is_signed = std::is_signed_v<T>;
}

void fill_bits(const VoxelCut& cut, const Voxels& voxels, GreyFrame& frame) {
  frame.integers = gather(cut, [&](size_t i) { return bit_at(voxels, i); });
  frame.bits_stored = 1;
}

// The frame's rescale moves into the values.
template <class T>
void fill_reals(const VoxelCut& cut, const Voxels& voxels, GreyFrame& frame) {
  const double slope = std::exchange(frame.slope, 1), intercept = std::exchange(frame.intercept, 0);
  frame.reals = gather(cut, [&](size_t i) { return slope * real_at<T>(voxels, i) + intercept; });
}

template <class T>
void fill_magnitudes(const VoxelCut& cut, const Voxels& voxels, GreyFrame& frame) {
  const double slope = std::exchange(frame.slope, 1), intercept = std::exchange(frame.intercept, 0);
  frame.reals = gather(cut, [&](size_t i) {
    return std::hypot(slope * real_at<T>(voxels, 2 * i) + intercept,
                      slope * real_at<T>(voxels, 2 * i + 1) + intercept);
  });
}

using Fill = void (*)(const VoxelCut&, const Voxels&, GreyFrame&);

Fill fill_of(int datatype) {
  switch (datatype) {
    case DT_BINARY:
      return fill_bits;
    case DT_UINT8:
      return fill_integers<uint8_t>;
    case DT_INT8:
      return fill_integers<int8_t>;
    case DT_UINT16:
      return fill_integers<uint16_t>;
    case DT_INT16:
      return fill_integers<int16_t>;
    case DT_INT32:
      return fill_integers<int32_t>;
    case DT_UINT32:
      return fill_reals<uint32_t>;
    case DT_INT64:
      return fill_reals<int64_t>;
    case DT_UINT64:
      return fill_reals<uint64_t>;
    case DT_FLOAT32:
      return fill_reals<float>;
    case DT_FLOAT64:
      return fill_reals<double>;
    case DT_FLOAT128:
      return fill_reals<Binary128>;
    case DT_COMPLEX64:
      return fill_magnitudes<float>;
    case DT_COMPLEX128:
      return fill_magnitudes<double>;
    case DT_COMPLEX256:
      return fill_magnitudes<Binary128>;
    default:
      throw Error(ErrorCode::internal, "NIfTI: a datatype passed the header's check unread");
  }
}

}  // namespace

GreyFrame read_grey(const VoxelCut& cut, Bytes voxels, const NiftiHeader& header) {
  GreyFrame frame{.rows = cut.rows, .cols = cut.cols};
  frame.slope = header.slope;
  frame.intercept = header.intercept;
  fill_of(header.datatype)(cut, {voxels, header.byte_order}, frame);
  return frame;
}

ColourFrame read_colour(const VoxelCut& cut, Bytes voxels, const NiftiHeader& header) {
  const size_t channels = header.datatype == DT_RGB24 ? 3 : 4;
  ColourFrame frame{.rows = cut.rows, .cols = cut.cols};
  frame.rgb.reserve(cut.rows * cut.cols * 3);
  for (size_t r = 0; r < cut.rows; ++r) {
    int64_t voxel = cut.first + static_cast<int64_t>(r) * cut.down;
    for (size_t c = 0; c < cut.cols; ++c, voxel += cut.right) {
      const std::byte* rgb = voxels.data() + static_cast<size_t>(voxel) * channels;
      for (size_t i = 0; i < 3; ++i) frame.rgb.push_back(std::to_integer<uint8_t>(rgb[i]));
    }
  }
  return frame;
}

}  // namespace mii
