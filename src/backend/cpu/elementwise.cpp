#include "backend/cpu/vector_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/elementwise.cpp"
#include <hwy/foreach_target.h>

#include "backend/cpu/store-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mii {
namespace HWY_NAMESPACE {

template <class T>
HWY_INLINE void RoundTo(const float* x, size_t n, T* y) {
  for_each_vector(n, [&](auto d, size_t i) HWY_ATTR { store(d, hn::LoadU(d, x + i), y + i); });
}

void RoundToFloat(const float* x, size_t n, float* y) { RoundTo(x, n, y); }
void RoundToBFloat16(const float* x, size_t n, BFloat16* y) { RoundTo(x, n, y); }

void AddTo(const float* x, size_t n, float* sum) {
  for_each_vector(n, [&](auto d, size_t i) HWY_ATTR {
    hn::StoreU(hn::Add(hn::LoadU(d, sum + i), hn::LoadU(d, x + i)), d, sum + i);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace mii
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mii {

HWY_EXPORT(RoundToFloat);
HWY_EXPORT(RoundToBFloat16);
HWY_EXPORT(AddTo);

void round_to(const float* x, size_t n, float* y) { HWY_DYNAMIC_DISPATCH(RoundToFloat)(x, n, y); }
void round_to(const float* x, size_t n, BFloat16* y) { HWY_DYNAMIC_DISPATCH(RoundToBFloat16)(x, n, y); }
void add_to(const float* x, size_t n, float* sum) { HWY_DYNAMIC_DISPATCH(AddTo)(x, n, sum); }

}  // namespace mii
#endif
