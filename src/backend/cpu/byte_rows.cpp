#include <cmath>
#include <limits>

#include "backend/cpu/vector_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/byte_rows.cpp"
#include <hwy/foreach_target.h>

#include "backend/cpu/activation-inl.h"
#include "backend/cpu/store-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mii {
namespace HWY_NAMESPACE {

struct Range {
  float least;
  float most;
};

// Of a row and 0.
HWY_INLINE Range RangeOf(const float* HWY_RESTRICT x, size_t n) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  auto least = hn::Zero(d), most = hn::Zero(d), least2 = least, most2 = most;
  size_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    const auto a = hn::LoadU(d, x + i), b = hn::LoadU(d, x + i + lanes);
    least = hn::Min(least, a), most = hn::Max(most, a);
    least2 = hn::Min(least2, b), most2 = hn::Max(most2, b);
  }
  Range range{hn::GetLane(hn::MinOfLanes(d, hn::Min(least, least2))),
              hn::GetLane(hn::MaxOfLanes(d, hn::Max(most, most2)))};
  for (; i < n; ++i) {
    range.least = range.least < x[i] ? range.least : x[i];
    range.most = range.most > x[i] ? range.most : x[i];
  }
  return range;
}

ByteRow QuantiseRow(const float* HWY_RESTRICT x, size_t n, uint8_t* HWY_RESTRICT to) {
  const Range range = RangeOf(x, n);
  const float width = range.most - range.least;
  const float scale = width / 255.0f;
  if (!(scale >= 0x1p-100f) || !std::isfinite(width)) {
    std::fill_n(to, n, uint8_t{0});
    return {std::isfinite(width) ? scale : std::numeric_limits<float>::quiet_NaN(), 0};
  }
  const float inverse = 255.0f / width;
  const auto zero = static_cast<int32_t>(std::nearbyint(-range.least * inverse));
  for_each_vector(n, [&](auto d, size_t i) HWY_ATTR {
    const hn::RebindToSigned<decltype(d)> di;
    const hn::Rebind<uint8_t, decltype(d)> d8;
    const auto steps = hn::NearestInt(hn::Mul(hn::LoadU(d, x + i), hn::Set(d, inverse)));
    hn::StoreU(hn::DemoteTo(d8, hn::Add(steps, hn::Set(di, zero))), d8, to + i);
  });
  return {scale, zero};
}

// Calls with(tag, value, to) for each vector of values of a block.
template <class With>
HWY_INLINE void EachValue(const ByteSums& block, float* y, size_t stride, const With& with) {
  for (size_t r = 0; r < block.row_count; ++r, y += stride) {
    const int32_t* HWY_RESTRICT sums = block.sums + r * block.columns;
    const ByteRow row = block.rows[r];
    for_each_vector(block.columns, [&](auto d, size_t c) HWY_ATTR {
      const hn::RebindToSigned<decltype(d)> di;
      const auto shift = hn::Mul(hn::LoadU(di, block.weight_sums + c), hn::Set(di, row.zero));
      const auto sum = hn::ConvertTo(d, hn::Sub(hn::LoadU(di, sums + c), shift));
      const auto scale = hn::Mul(hn::LoadU(d, block.scales + c), hn::Set(d, row.scale));
      with(d, hn::MulAdd(sum, scale, hn::LoadU(d, block.bias + c)), y + c);
    });
  }
}

void StoreByteSums(const ByteSums& block, float* y, size_t stride) {
  EachValue(block, y, stride, [](auto d, auto v, float* to) HWY_ATTR { hn::StoreU(v, d, to); });
}
void AddByteSums(const ByteSums& block, float* y, size_t stride) {
  EachValue(block, y, stride,
            [](auto d, auto v, float* to) HWY_ATTR { hn::StoreU(hn::Add(hn::LoadU(d, to), v), d, to); });
}
void GeluByteSums(const ByteSums& block, float* y, size_t stride) {
  EachValue(block, y, stride, [](auto d, auto v, float* to) HWY_ATTR { hn::StoreU(Gelu(d, v), d, to); });
}
void QuickGeluByteSums(const ByteSums& block, float* y, size_t stride) {
  EachValue(block, y, stride, [](auto d, auto v, float* to) HWY_ATTR { hn::StoreU(QuickGelu(d, v), d, to); });
}

}  // namespace HWY_NAMESPACE
}  // namespace mii
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mii {

HWY_EXPORT(QuantiseRow);
HWY_EXPORT(StoreByteSums);
HWY_EXPORT(AddByteSums);
HWY_EXPORT(GeluByteSums);
HWY_EXPORT(QuickGeluByteSums);

ByteRow quantise_row(const float* x, size_t n, uint8_t* to) {
  return HWY_DYNAMIC_DISPATCH(QuantiseRow)(x, n, to);
}
void store_byte_sums(const ByteSums& block, float* y, size_t stride) {
  HWY_DYNAMIC_DISPATCH(StoreByteSums)(block, y, stride);
}
void add_byte_sums(const ByteSums& block, float* y, size_t stride) {
  HWY_DYNAMIC_DISPATCH(AddByteSums)(block, y, stride);
}
void gelu_byte_sums(const ByteSums& block, float* y, size_t stride) {
  HWY_DYNAMIC_DISPATCH(GeluByteSums)(block, y, stride);
}
void quick_gelu_byte_sums(const ByteSums& block, float* y, size_t stride) {
  HWY_DYNAMIC_DISPATCH(QuickGeluByteSums)(block, y, stride);
}

}  // namespace mii
#endif
