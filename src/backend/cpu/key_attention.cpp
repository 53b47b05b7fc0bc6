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

HWY_INLINE float Dot(const float* a, const float* b, size_t n) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  auto sums = hn::Zero(d);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) sums = hn::MulAdd(hn::LoadU(d, a + i), hn::LoadU(d, b + i), sums);
  float sum = hn::GetLane(hn::SumOfLanes(d, sums));
  for (; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

// weights = softmax(scale * q k^T)
HWY_INLINE void Weigh(const QueryToKeys& task, float* weights) {
  for (size_t j = 0; j < task.keys; ++j)
    weights[j] = task.scale * Dot(task.q, KeyRow(task, j) + task.k_offset, task.dim);
  const float top = *std::max_element(weights, weights + task.keys);
  for_each_vector(task.keys, [&](auto d, size_t j) HWY_ATTR {
    hn::StoreU(hn::Exp(d, hn::Sub(hn::LoadU(d, weights + j), hn::Set(d, top))), d, weights + j);
  });
  float sum = 0;
  for (size_t j = 0; j < task.keys; ++j) sum += weights[j];
  const float share = 1.0f / sum;
  for (size_t j = 0; j < task.keys; ++j) weights[j] *= share;
}

template <class T>
HWY_INLINE void Attend(const QueryToKeys& task, float* weights, T* out) {
  Weigh(task, weights);
  for_each_vector(task.dim, [&](auto d, size_t c) HWY_ATTR {
    auto sum = hn::Zero(d);
    for (size_t j = 0; j < task.keys; ++j)
      sum = hn::MulAdd(hn::Set(d, weights[j]), hn::LoadU(d, KeyRow(task, j) + task.v_offset + c), sum);
    store(d, sum, out + c);
  });
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
