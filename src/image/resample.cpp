#include "image/resample.h"

#include <algorithm>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "image/resample.cpp"
#include <hwy/foreach_target.h>
// Highway's own header comes after the list of targets.
#include <hwy/highway.h>

// All sums are exact: weights are below 2^23 in magnitude and sum up to 2^22 with little cancellation, so
// that 255 times their absolute sum stays below 2^31.

HWY_BEFORE_NAMESPACE();
namespace mii {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Half a unit of the last place kept, so that the shift rounds.
constexpr int32_t kHalf = 1 << (AxisWeights::kWeightBits - 1);

// One 128-bit block of a vector per row: 16 bytes of pixels in, the sums of R, G, B and nothing out.
#if HWY_ARCH_X86 && HWY_MAX_BYTES >= 32
constexpr size_t kRowsAtOnce = 2;
#else
constexpr size_t kRowsAtOnce = 1;
#endif
using PixelBytes = hn::FixedTag<uint8_t, 16 * kRowsAtOnce>;
using PixelSums = hn::FixedTag<int32_t, 4 * kRowsAtOnce>;

// The rows of one step, copied to a buffer in which reading past their end is safe.
struct RowSet {
  const uint8_t* rows[kRowsAtOnce];
};

HWY_INLINE auto load_pixels(const RowSet& set, size_t offset) {
  const hn::FixedTag<uint8_t, 16> block;
#if HWY_ARCH_X86 && HWY_MAX_BYTES >= 32
  return hn::Combine(PixelBytes(), hn::LoadU(block, set.rows[1] + offset),
                     hn::LoadU(block, set.rows[0] + offset));
#else
  return hn::LoadU(block, set.rows[0] + offset);
#endif
}

// Picks pixel `index` of the four RGB pixels in each block as three 32-bit numbers and a zero.
template <int kIndex>
HWY_INLINE auto pixel(hn::Vec<PixelBytes> four_pixels) {
  constexpr uint8_t kR = 3 * kIndex, kG = kR + 1, kB = kR + 2, kZero = 0x80;
  alignas(16) static constexpr uint8_t kPick[16] = {kR, kZero, kZero, kZero, kG,    kZero, kZero, kZero,
                                                    kB, kZero, kZero, kZero, kZero, kZero, kZero, kZero};
  const auto pick = hn::LoadDup128(PixelBytes(), kPick);
  return hn::BitCast(PixelSums(), hn::TableLookupBytesOr0(four_pixels, pick));
}

// Rounds, clips to a byte and stores lane by lane.
template <class D>
HWY_INLINE void store_clipped(D d, hn::Vec<D> sums, uint8_t* out) {
  const hn::Rebind<uint8_t, D> bytes;
  hn::StoreU(hn::DemoteTo(bytes, hn::ShiftRight<AxisWeights::kWeightBits>(sums)), bytes, out);
  (void)d;
}

HWY_INLINE hn::Vec<PixelSums> weighted_sum(const RowSet& set, size_t offset, const int32_t* weights,
                                           size_t taps) {
  const PixelSums d;
  auto sums = hn::Set(d, kHalf);
  for (size_t t = 0; t < taps; t += 4) {
    const auto pixels = load_pixels(set, offset + 3 * t);
    sums = hn::Add(sums, hn::Mul(pixel<0>(pixels), hn::Set(d, weights[t])));
    sums = hn::Add(sums, hn::Mul(pixel<1>(pixels), hn::Set(d, weights[t + 1])));
    sums = hn::Add(sums, hn::Mul(pixel<2>(pixels), hn::Set(d, weights[t + 2])));
    sums = hn::Add(sums, hn::Mul(pixel<3>(pixels), hn::Set(d, weights[t + 3])));
  }
  return sums;
}

void ResampleRowSet(const RowSet& set, const AxisWeights& weights, uint8_t* const* out) {
  alignas(32) uint8_t rgb[4 * kRowsAtOnce];
  for (size_t x = weights.begin(); x < weights.end(); ++x) {
    store_clipped(PixelSums(), weighted_sum(set, 3 * weights.first(x), weights.weights(x), weights.taps()),
                  rgb);
    for (size_t r = 0; r < kRowsAtOnce; ++r) std::memcpy(out[r] + 3 * x, rgb + 4 * r, 3);
  }
}

void ResampleRows(const RgbRows& in, const AxisWeights& weights, size_t first_row, size_t last_row,
                  uint8_t* out, size_t out_stride) {
  // Taps of weight 0 may read past the last pixel, by up to this much.
  const size_t padded = 3 * (in.width + weights.taps()) + 16;
  std::vector<uint8_t> copies(kRowsAtOnce * padded);
  RowSet set;
  for (size_t r = 0; r < kRowsAtOnce; ++r) set.rows[r] = copies.data() + r * padded;
  for (size_t y = first_row; y < last_row; y += kRowsAtOnce) {
    uint8_t* out_rows[kRowsAtOnce];
    for (size_t r = 0; r < kRowsAtOnce; ++r) {
      // An odd last row is computed twice.
      const size_t row = std::min(y + r, last_row - 1);
      std::memcpy(copies.data() + r * padded, in.row(row), 3 * in.width);
      out_rows[r] = out + row * out_stride;
    }
    ResampleRowSet(set, weights, out_rows);
  }
}

// Columns [x, x + lanes) of one output row. rows beyond the last one have weight 0.
template <class D>
HWY_INLINE void ResampleColumns(D d, const RgbRows& in, size_t first, const int32_t* weights, size_t samples,
                                size_t x, uint8_t* out) {
  const hn::Rebind<uint8_t, D> bytes;
  auto sums = hn::Set(d, kHalf);
  const uint8_t* source = in.row(first) + x;
  for (size_t t = 0; t < samples; ++t, source += in.stride) {
    sums = hn::Add(sums, hn::Mul(hn::PromoteTo(d, hn::LoadU(bytes, source)), hn::Set(d, weights[t])));
  }
  store_clipped(d, sums, out + x);
}

void ResampleColumnSums(const RgbRows& in, const AxisWeights& axis, size_t y, uint8_t* out) {
  const hn::ScalableTag<int32_t> d;
  const hn::CappedTag<int32_t, 1> one;
  const size_t first = axis.first(y);
  const size_t samples = std::min(axis.taps(), in.height - first);
  size_t x = 0;
  for (; x + hn::Lanes(d) <= 3 * in.width; x += hn::Lanes(d)) {
    ResampleColumns(d, in, first, axis.weights(y), samples, x, out);
  }
  for (; x < 3 * in.width; ++x) ResampleColumns(one, in, first, axis.weights(y), samples, x, out);
}

}  // namespace HWY_NAMESPACE
}  // namespace mii
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mii {

HWY_EXPORT(ResampleRows);
HWY_EXPORT(ResampleColumnSums);

void resample_rows(const RgbRows& in, const AxisWeights& weights, size_t first_row, size_t last_row,
                   uint8_t* out, size_t out_stride) {
  HWY_DYNAMIC_DISPATCH(ResampleRows)(in, weights, first_row, last_row, out, out_stride);
}

void resample_column_sums(const RgbRows& in, const AxisWeights& weights, size_t y, uint8_t* out) {
  HWY_DYNAMIC_DISPATCH(ResampleColumnSums)(in, weights, y, out);
}

}  // namespace mii
#endif  // HWY_ONCE
