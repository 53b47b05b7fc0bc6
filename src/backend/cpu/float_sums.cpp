#include "backend/cpu/vector_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/float_sums.cpp"
#include <hwy/foreach_target.h>

#include "backend/cpu/activation-inl.h"
#include "backend/cpu/store-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mii {
namespace HWY_NAMESPACE {

// Calls with(tag, sum + bias, to) for each vector of sums of a block.
template <class T, class With>
HWY_INLINE void EachSum(const FloatSums& block, T* y, size_t stride, const With& with) {
  for (size_t r = 0; r < block.row_count; ++r, y += stride) {
    const float* HWY_RESTRICT sums = block.sums + r * block.columns;
    for_each_vector(block.columns, [&](auto d, size_t c) HWY_ATTR {
      with(d, hn::Add(hn::LoadU(d, sums + c), hn::LoadU(d, block.bias + c)), y + c);
    });
  }
}

void StoreFloatSums(const FloatSums& block, float* y, size_t stride) {
  EachSum(block, y, stride, [](auto d, auto v, float* to) HWY_ATTR { store(d, v, to); });
}
void AddFloatSums(const FloatSums& block, float* y, size_t stride) {
  EachSum(block, y, stride,
          [](auto d, auto v, float* to) HWY_ATTR { store(d, hn::Add(hn::LoadU(d, to), v), to); });
}

template <class T>
HWY_INLINE void GeluSums(const FloatSums& block, T* y, size_t stride) {
  EachSum(block, y, stride, [](auto d, auto v, T* to) HWY_ATTR { store(d, Gelu(d, v), to); });
}
template <class T>
HWY_INLINE void QuickGeluSums(const FloatSums& block, T* y, size_t stride) {
  EachSum(block, y, stride, [](auto d, auto v, T* to) HWY_ATTR { store(d, QuickGelu(d, v), to); });
}

void GeluSumsToFloat(const FloatSums& block, float* y, size_t stride) { GeluSums(block, y, stride); }
void GeluSumsToBFloat16(const FloatSums& block, BFloat16* y, size_t stride) { GeluSums(block, y, stride); }
void QuickGeluSumsToFloat(const FloatSums& block, float* y, size_t stride) {
  QuickGeluSums(block, y, stride);
}
void QuickGeluSumsToBFloat16(const FloatSums& block, BFloat16* y, size_t stride) {
  QuickGeluSums(block, y, stride);
}

}  // namespace HWY_NAMESPACE
}  // namespace mii
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mii {

HWY_EXPORT(StoreFloatSums);
HWY_EXPORT(AddFloatSums);
HWY_EXPORT(GeluSumsToFloat);
HWY_EXPORT(GeluSumsToBFloat16);
HWY_EXPORT(QuickGeluSumsToFloat);
HWY_EXPORT(QuickGeluSumsToBFloat16);

void store_float_sums(const FloatSums& block, float* y, size_t stride) {
  HWY_DYNAMIC_DISPATCH(StoreFloatSums)(block, y, stride);
}
void add_float_sums(const FloatSums& block, float* y, size_t stride) {
  HWY_DYNAMIC_DISPATCH(AddFloatSums)(block, y, stride);
}
void gelu_float_sums(const FloatSums& block, float* y, size_t stride) {
  HWY_DYNAMIC_DISPATCH(GeluSumsToFloat)(block, y, stride);
}
void gelu_float_sums(const FloatSums& block, BFloat16* y, size_t stride) {
  HWY_DYNAMIC_DISPATCH(GeluSumsToBFloat16)(block, y, stride);
}
void quick_gelu_float_sums(const FloatSums& block, float* y, size_t stride) {
  HWY_DYNAMIC_DISPATCH(QuickGeluSumsToFloat)(block, y, stride);
}
void quick_gelu_float_sums(const FloatSums& block, BFloat16* y, size_t stride) {
  HWY_DYNAMIC_DISPATCH(QuickGeluSumsToBFloat16)(block, y, stride);
}

}  // namespace mii
#endif
