#include <algorithm>
#include <cmath>

#include "backend/cpu/vector_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/key_attention.cpp"
#include <hwy/foreach_target.h>

#include <hwy/contrib/math/math-inl.h>

#include "backend/cpu/store-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mii {
namespace HWY_NAMESPACE {

const float* KeyRow(const QueryToKeys& task, size_t key) {
  return task.kv + static_cast<size_t>(task.row_of[key]) * task.row_stride;
}

// Sums that do not wait for one another.
constexpr size_t kAtOnce = 4;

// weights[j .. j + kKeys) = scale * q k^T
template <size_t kKeys>
HWY_INLINE void Dots(const QueryToKeys& task, size_t j, float* weights) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  const float* k[kKeys];
  hn::Vec<decltype(d)> sums[kKeys];
  for (size_t n = 0; n < kKeys; ++n) {
    k[n] = KeyRow(task, j + n) + task.k_offset;
    sums[n] = hn::Zero(d);
  }
  size_t i = 0;
  for (; i + lanes <= task.dim; i += lanes) {
    const auto q = hn::LoadU(d, task.q + i);
    for (size_t n = 0; n < kKeys; ++n) sums[n] = hn::MulAdd(q, hn::LoadU(d, k[n] + i), sums[n]);
  }
  for (size_t n = 0; n < kKeys; ++n) {
    float sum = hn::GetLane(hn::SumOfLanes(d, sums[n]));
    for (size_t rest = i; rest < task.dim; ++rest) sum += task.q[rest] * k[n][rest];
    weights[j + n] = task.scale * sum;
  }
}

// weights = softmax(scale * q k^T)
HWY_INLINE void Weigh(const QueryToKeys& task, float* weights) {
  size_t j = 0;
  for (; j + kAtOnce <= task.keys; j += kAtOnce) Dots<kAtOnce>(task, j, weights);
  for (; j < task.keys; ++j) Dots<1>(task, j, weights);
  const float top = *std::max_element(weights, weights + task.keys);
  for_each_vector(task.keys, [&](auto d, size_t j) HWY_ATTR {
    hn::StoreU(hn::Exp(d, hn::Sub(hn::LoadU(d, weights + j), hn::Set(d, top))), d, weights + j);
  });
  float sum = 0;
  for (size_t j = 0; j < task.keys; ++j) sum += weights[j];
  const float share = 1.0f / sum;
  for (size_t j = 0; j < task.keys; ++j) weights[j] *= share;
}

// out[c .. c + kVectors vectors) = sum over the keys of weight times value. Key by key, as a key's values lie
// beside each other.
template <size_t kVectors, class D, class T>
HWY_INLINE void Mix(D d, const QueryToKeys& task, const float* weights, size_t c, T* out) {
  const size_t lanes = hn::Lanes(d);
  hn::Vec<D> sums[kVectors];
  for (size_t n = 0; n < kVectors; ++n) sums[n] = hn::Zero(d);
  for (size_t j = 0; j < task.keys; ++j) {
    const float* v = KeyRow(task, j) + task.v_offset + c;
    const auto weight = hn::Set(d, weights[j]);
    for (size_t n = 0; n < kVectors; ++n) sums[n] = hn::MulAdd(weight, hn::LoadU(d, v + n * lanes), sums[n]);
  }
  for (size_t n = 0; n < kVectors; ++n) store(d, sums[n], out + c + n * lanes);
}

template <class T>
HWY_INLINE void Attend(const QueryToKeys& task, float* weights, T* out) {
  Weigh(task, weights);
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  size_t c = 0;
  for (; c + kAtOnce * lanes <= task.dim; c += kAtOnce * lanes) Mix<kAtOnce>(d, task, weights, c, out);
  for (; c + lanes <= task.dim; c += lanes) Mix<1>(d, task, weights, c, out);
  for (; c < task.dim; ++c) Mix<1>(hn::CappedTag<float, 1>(), task, weights, c, out);
}

void AttendToKeysInFloat(const QueryToKeys& task, float* scratch, float* out) { Attend(task, scratch, out); }
void AttendToKeysInBFloat16(const QueryToKeys& task, float* scratch, BFloat16* out) {
  Attend(task, scratch, out);
}

}  // namespace HWY_NAMESPACE
}  // namespace mii
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mii {

HWY_EXPORT(AttendToKeysInFloat);
HWY_EXPORT(AttendToKeysInBFloat16);

void attend_to_keys(const QueryToKeys& task, float* scratch, float* out) {
  HWY_DYNAMIC_DISPATCH(AttendToKeysInFloat)(task, scratch, out);
}
void attend_to_keys(const QueryToKeys& task, float* scratch, BFloat16* out) {
  HWY_DYNAMIC_DISPATCH(AttendToKeysInBFloat16)(task, scratch, out);
}

}  // namespace mii
#endif
