#include "backend/cpu/vector_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/activation.cpp"
#include <hwy/foreach_target.h>

#include <hwy/contrib/math/math-inl.h>

#include "backend/cpu/store-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mii {
namespace HWY_NAMESPACE {

// erf(x) as a ratio of two polynomials on [-4, 4]; beyond, it is +-1 in float32. (The approximation of Eigen
// and XLA.)
template <class D, class V>
HWY_INLINE V Erf(D d, V x) {
  x = hn::Clamp(x, hn::Set(d, -4.0f), hn::Set(d, 4.0f));
  const V x2 = hn::Mul(x, x);
  V p = hn::Set(d, -2.72614225801306e-10f);
  for (float c : {2.77068142495902e-08f, -2.10102402082508e-06f, -5.69250639462346e-05f,
                  -7.34990630326855e-04f, -2.95459980854025e-03f, -1.60960333262415e-02f})
    p = hn::MulAdd(p, x2, hn::Set(d, c));
  V q = hn::Set(d, -1.45660718464996e-05f);
  for (float c :
       {-2.13374055278905e-04f, -1.68282697438203e-03f, -7.37332916720468e-03f, -1.42647390514189e-02f})
    q = hn::MulAdd(q, x2, hn::Set(d, c));
  return hn::Div(hn::Mul(x, p), q);
}

template <class T>
HWY_INLINE void GeluTo(const float* x, size_t n, T* y) {
  for_each_vector(n, [&](auto d, size_t i) HWY_ATTR {
    const auto v = hn::LoadU(d, x + i);
    const auto half = hn::Mul(v, hn::Set(d, 0.5f));
    store(d, hn::MulAdd(half, Erf(d, hn::Mul(v, hn::Set(d, 0.70710678118654752f))), half), y + i);
  });
}

template <class T>
HWY_INLINE void QuickGeluTo(const float* x, size_t n, T* y) {
  for_each_vector(n, [&](auto d, size_t i) HWY_ATTR {
    const auto v = hn::LoadU(d, x + i);
    // Below -87 exp(-1.702 v) would overflow; the result there is -0 in float32 either way.
    const auto power = hn::Min(hn::Mul(v, hn::Set(d, -1.702f)), hn::Set(d, 87.0f));
    store(d, hn::Div(v, hn::Add(hn::Set(d, 1.0f), hn::Exp(d, power))), y + i);
  });
}

template <class T>
HWY_INLINE void RoundTo(const float* x, size_t n, T* y) {
  for_each_vector(n, [&](auto d, size_t i) HWY_ATTR { store(d, hn::LoadU(d, x + i), y + i); });
}

void GeluToFloat(const float* x, size_t n, float* y) { GeluTo(x, n, y); }
void GeluToBFloat16(const float* x, size_t n, BFloat16* y) { GeluTo(x, n, y); }
void QuickGeluToFloat(const float* x, size_t n, float* y) { QuickGeluTo(x, n, y); }
void QuickGeluToBFloat16(const float* x, size_t n, BFloat16* y) { QuickGeluTo(x, n, y); }
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

HWY_EXPORT(GeluToFloat);
HWY_EXPORT(GeluToBFloat16);
HWY_EXPORT(QuickGeluToFloat);
HWY_EXPORT(QuickGeluToBFloat16);
HWY_EXPORT(RoundToFloat);
HWY_EXPORT(RoundToBFloat16);
HWY_EXPORT(AddTo);

void gelu(const float* x, size_t n, float* y) { HWY_DYNAMIC_DISPATCH(GeluToFloat)(x, n, y); }
void gelu(const float* x, size_t n, BFloat16* y) { HWY_DYNAMIC_DISPATCH(GeluToBFloat16)(x, n, y); }
void quick_gelu(const float* x, size_t n, float* y) { HWY_DYNAMIC_DISPATCH(QuickGeluToFloat)(x, n, y); }
void quick_gelu(const float* x, size_t n, BFloat16* y) { HWY_DYNAMIC_DISPATCH(QuickGeluToBFloat16)(x, n, y); }
void round_to(const float* x, size_t n, float* y) { HWY_DYNAMIC_DISPATCH(RoundToFloat)(x, n, y); }
void round_to(const float* x, size_t n, BFloat16* y) { HWY_DYNAMIC_DISPATCH(RoundToBFloat16)(x, n, y); }
void add_to(const float* x, size_t n, float* sum) { HWY_DYNAMIC_DISPATCH(AddTo)(x, n, sum); }

}  // namespace mii
#endif
