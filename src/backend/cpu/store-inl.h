// Included once per instruction set by Highway's foreach_target.h.
#if defined(MII_BACKEND_CPU_STORE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MII_BACKEND_CPU_STORE_INL_H_
#undef MII_BACKEND_CPU_STORE_INL_H_
#else
#define MII_BACKEND_CPU_STORE_INL_H_
#endif

#include <hwy/highway.h>

#include "core/tensor.h"

HWY_BEFORE_NAMESPACE();
namespace mii {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <class D, class V>
HWY_INLINE void store(D d, V v, float* to) {
  hn::StoreU(v, d, to);
}

// Rounds to nearest, ties to even, on every instruction set alike. v is not NaN.
template <class D, class V>
HWY_INLINE void store(D /*d*/, V v, BFloat16* to) {
  const hn::RebindToUnsigned<D> du;
  const hn::RebindToSigned<D> di;
  const hn::Rebind<uint16_t, D> d16;
  const auto bits = hn::BitCast(du, v);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1));
  const auto rounded = hn::ShiftRight<16>(hn::Add(hn::Add(bits, hn::Set(du, 0x7FFF)), odd));
  hn::StoreU(hn::DemoteTo(d16, hn::BitCast(di, rounded)), d16, reinterpret_cast<uint16_t*>(to));
}

// Calls body(tag, i) for whole vectors from i = 0, then for shorter ones, then for single values.
template <class Body>
HWY_INLINE void for_each_vector(size_t n, const Body& body) {
  const hn::ScalableTag<float> d;
  const hn::CappedTag<float, 8> eight;
  const hn::CappedTag<float, 4> four;
  const hn::CappedTag<float, 1> one;
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) body(d, i);
  for (; i + hn::Lanes(eight) <= n; i += hn::Lanes(eight)) body(eight, i);
  for (; i + hn::Lanes(four) <= n; i += hn::Lanes(four)) body(four, i);
  for (; i < n; ++i) body(one, i);
}

}  // namespace HWY_NAMESPACE
}  // namespace mii
HWY_AFTER_NAMESPACE();

#endif
