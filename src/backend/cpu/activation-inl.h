// Included once per instruction set by Highway's foreach_target.h.
#if defined(MII_BACKEND_CPU_ACTIVATION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MII_BACKEND_CPU_ACTIVATION_INL_H_
#undef MII_BACKEND_CPU_ACTIVATION_INL_H_
#else
#define MII_BACKEND_CPU_ACTIVATION_INL_H_
#endif

#include <hwy/highway.h>

#include <hwy/contrib/math/math-inl.h>

HWY_BEFORE_NAMESPACE();
namespace mii {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

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

// x * (1 + erf(x / sqrt(2))) / 2
template <class D, class V>
HWY_INLINE V Gelu(D d, V x) {
  const V half = hn::Mul(x, hn::Set(d, 0.5f));
  return hn::MulAdd(half, Erf(d, hn::Mul(x, hn::Set(d, 0.70710678118654752f))), half);
}

// x * sigmoid(1.702 x)
template <class D, class V>
HWY_INLINE V QuickGelu(D d, V x) {
  // Below -87 exp(-1.702 x) would overflow; the result there is -0 in float32 either way.
  const V power = hn::Min(hn::Mul(x, hn::Set(d, -1.702f)), hn::Set(d, 87.0f));
  return hn::Div(x, hn::Add(hn::Set(d, 1.0f), hn::Exp(d, power)));
}

}  // namespace HWY_NAMESPACE
}  // namespace mii
HWY_AFTER_NAMESPACE();

#endif
