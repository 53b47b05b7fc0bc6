#include "search/scan_kernels.h"

#include <bit>
#include <cstring>

#include "search/sign_kernel_x86.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "search/scan_kernels.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace mii::search {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// At most 16 lanes: sum j is lane j % N of vector j / N.
using Sums = hn::CappedTag<float, 16>;
constexpr size_t kVectors = kPartialSums / hn::MaxLanes(Sums());

HWY_INLINE auto load(Sums d, const float* x) { return hn::LoadU(d, x); }
HWY_INLINE auto load(Sums d, const uint16_t* x) {
  const hn::RebindToUnsigned<Sums> bits;
  const hn::Rebind<uint16_t, Sums> halves;
  return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(bits, hn::LoadU(halves, x))));
}

HWY_INLINE float widen(float x) { return x; }
HWY_INLINE float widen(uint16_t x) { return std::bit_cast<float>(uint32_t{x} << 16); }

template <typename T>
HWY_INLINE float Dot(const float* HWY_RESTRICT query, const T* HWY_RESTRICT x, size_t dim) {
  const Sums d;
  const size_t lanes = hn::Lanes(d);
  hn::Vec<Sums> sums[kVectors];
  for (auto& sum : sums) sum = hn::Zero(d);
  size_t i = 0;
  for (; i + kPartialSums <= dim; i += kPartialSums)
    for (size_t v = 0; v < kVectors; ++v)
      sums[v] = hn::Add(sums[v], hn::Mul(hn::LoadU(d, query + i + v * lanes), load(d, x + i + v * lanes)));
  HWY_ALIGN float sum[kPartialSums];
  if (i == dim) {
    for (size_t half = kVectors / 2; half > 0; half /= 2)
      for (size_t v = 0; v < half; ++v) sums[v] = hn::Add(sums[v], sums[v + half]);
    hn::Store(sums[0], d, sum);
  } else {
    for (size_t v = 0; v < kVectors; ++v) hn::Store(sums[v], d, sum + v * lanes);
    for (size_t j = 0; i < dim; ++i, ++j) sum[j] += query[i] * widen(x[i]);
    for (size_t half = kPartialSums / 2; half >= lanes; half /= 2)
      for (size_t j = 0; j < half; ++j) sum[j] += sum[j + half];
  }
  for (size_t half = lanes / 2; half > 0; half /= 2)
    for (size_t j = 0; j < half; ++j) sum[j] += sum[j + half];
  return sum[0];
}

template <typename T>
HWY_INLINE void Dots(const float* query, size_t dim, RowsView rows, std::span<const uint32_t> numbers,
                     float* dots) {
  for (size_t n = 0; n < numbers.size(); ++n)
    dots[n] = Dot(query, reinterpret_cast<const T*>(rows.data + numbers[n] * rows.stride), dim);
}

void DotsF32(const float* query, size_t dim, RowsView rows, std::span<const uint32_t> numbers, float* dots) {
  Dots<float>(query, dim, rows, numbers, dots);
}

void DotsBf16(const float* query, size_t dim, RowsView rows, std::span<const uint32_t> numbers, float* dots) {
  Dots<uint16_t>(query, dim, rows, numbers, dots);
}

HWY_INLINE int32_t DotInt8(const int16_t* HWY_RESTRICT query, const int8_t* HWY_RESTRICT x, size_t dim) {
  const hn::ScalableTag<int16_t> d16;
  const hn::Rebind<int8_t, decltype(d16)> d8;
  const hn::RepartitionToWide<decltype(d16)> d32;
  const size_t lanes = hn::Lanes(d16);
  auto even = hn::Zero(d32);
  auto odd = hn::Zero(d32);
  auto even_high = hn::Zero(d32);
  auto odd_high = hn::Zero(d32);
  size_t i = 0;
  for (; i + 2 * lanes <= dim; i += 2 * lanes) {
    even = hn::ReorderWidenMulAccumulate(d32, hn::LoadU(d16, query + i),
                                         hn::PromoteTo(d16, hn::LoadU(d8, x + i)), even, even_high);
    odd = hn::ReorderWidenMulAccumulate(d32, hn::LoadU(d16, query + i + lanes),
                                        hn::PromoteTo(d16, hn::LoadU(d8, x + i + lanes)), odd, odd_high);
  }
  const auto sums = hn::Add(hn::Add(even, even_high), hn::Add(odd, odd_high));
  int32_t sum = hn::GetLane(hn::SumOfLanes(d32, sums));
  for (; i < dim; ++i) sum += int32_t{query[i]} * x[i];
  return sum;
}

void DotsInt8(const int16_t* query, size_t dim, RowsView rows, std::span<const uint32_t> numbers,
              int32_t* dots) {
  for (size_t n = 0; n < numbers.size(); ++n)
    dots[n] = DotInt8(query, reinterpret_cast<const int8_t*>(rows.data + numbers[n] * rows.stride), dim);
}

template <size_t kPlanes>
HWY_INLINE int32_t DotSigns(const BitPlanes& query, const std::byte* row) {
  const hn::ScalableTag<uint64_t> d;
  const hn::RebindToSigned<decltype(d)> di;
  const size_t lanes = hn::Lanes(d);
  constexpr int64_t kAll = (int64_t{1} << kPlanes) - 1;
  auto sums = hn::Zero(d);  // of 2 * value - kAll, modulo 2^64
  size_t w = 0;
  for (; w + lanes <= query.words; w += lanes) {
    const auto bits = hn::LoadU(d, reinterpret_cast<const uint64_t*>(row) + w);
    const auto set = hn::PopulationCount(bits);
    // Horner's rule, the highest plane first; 2 * value and kAll * set are made of shifts.
    auto value =
        hn::PopulationCount(hn::And(bits, hn::LoadU(d, query.planes + (kPlanes - 1) * query.words + w)));
    for (size_t b = kPlanes - 1; b-- > 0;)
      value = hn::Add(hn::Add(value, value),
                      hn::PopulationCount(hn::And(bits, hn::LoadU(d, query.planes + b * query.words + w))));
    sums = hn::Add(sums, hn::Add(hn::Sub(hn::Add(value, value), hn::ShiftLeft<kPlanes>(set)), set));
  }
  int64_t sum = hn::GetLane(hn::SumOfLanes(di, hn::BitCast(di, sums)));
  for (; w < query.words; ++w) {
    uint64_t bits;
    std::memcpy(&bits, row + w * sizeof bits, sizeof bits);
    sum -= kAll * std::popcount(bits);
    for (size_t b = 0; b < kPlanes; ++b)
      sum += int64_t{std::popcount(bits & query.planes[b * query.words + w])} << (b + 1);
  }
  return static_cast<int32_t>(sum);
}

template <size_t kPlanes>
HWY_INLINE void DotsSignsOf(const BitPlanes& query, RowsView rows, std::span<const uint32_t> numbers,
                            int32_t* dots) {
  for (size_t n = 0; n < numbers.size(); ++n)
    dots[n] = DotSigns<kPlanes>(query, rows.data + numbers[n] * rows.stride);
}

void DotsSigns(const BitPlanes& query, RowsView rows, std::span<const uint32_t> numbers, int32_t* dots) {
#if HWY_TARGET == HWY_AVX3
  static const bool can_count = can_count_bits_of_vectors();
  if (can_count && query.count == 1) return dots_signs_by_vectors<1>(query, rows, numbers, dots);
  if (can_count) return dots_signs_by_vectors<4>(query, rows, numbers, dots);
#endif
  if (query.count == 1)
    DotsSignsOf<1>(query, rows, numbers, dots);
  else
    DotsSignsOf<4>(query, rows, numbers, dots);
}

}  // namespace HWY_NAMESPACE
}  // namespace mii::search
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mii::search {

HWY_EXPORT(DotsF32);
HWY_EXPORT(DotsBf16);
HWY_EXPORT(DotsInt8);
HWY_EXPORT(DotsSigns);

void dots_f32(const float* query, size_t dim, RowsView rows, std::span<const uint32_t> numbers, float* dots) {
  HWY_DYNAMIC_DISPATCH(DotsF32)(query, dim, rows, numbers, dots);
}
void dots_bf16(const float* query, size_t dim, RowsView rows, std::span<const uint32_t> numbers,
               float* dots) {
  HWY_DYNAMIC_DISPATCH(DotsBf16)(query, dim, rows, numbers, dots);
}
void dots_int8(const int16_t* query, size_t dim, RowsView rows, std::span<const uint32_t> numbers,
               int32_t* dots) {
  HWY_DYNAMIC_DISPATCH(DotsInt8)(query, dim, rows, numbers, dots);
}
void dots_signs(const BitPlanes& query, RowsView rows, std::span<const uint32_t> numbers, int32_t* dots) {
  HWY_DYNAMIC_DISPATCH(DotsSigns)(query, rows, numbers, dots);
}

}  // namespace mii::search
#endif
