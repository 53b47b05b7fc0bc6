#include <cmath>

#include "backend/cpu/vector_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/layer_norm.cpp"
#include <hwy/foreach_target.h>

#include "backend/cpu/store-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mii {
namespace HWY_NAMESPACE {

// Sum over i of value(tag, i), with two chains of additions.
template <class Value>
HWY_INLINE float sum_of(size_t n, const Value& value) {
  const hn::ScalableTag<float> d;
  const hn::CappedTag<float, 1> one;
  const size_t lanes = hn::Lanes(d);
  auto even = hn::Zero(d);
  auto odd = hn::Zero(d);
  size_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    even = hn::Add(even, value(d, i));
    odd = hn::Add(odd, value(d, i + lanes));
  }
  for (; i + lanes <= n; i += lanes) even = hn::Add(even, value(d, i));
  float sum = hn::GetLane(hn::SumOfLanes(d, hn::Add(even, odd)));
  for (; i < n; ++i) sum += hn::GetLane(value(one, i));
  return sum;
}

template <class T>
void LayerNormRowsTo(const LayerNormRows& task, T* y) {
  const float count = static_cast<float>(task.channels);
  for (size_t r = 0; r < task.rows; ++r, y += task.channels) {
    const float* HWY_RESTRICT x = task.x + r * task.channels;
    const float mean =
        sum_of(task.channels, [&](auto d, size_t i) HWY_ATTR { return hn::LoadU(d, x + i); }) / count;
    const float squares = sum_of(task.channels, [&](auto d, size_t i) HWY_ATTR {
      const auto centred = hn::Sub(hn::LoadU(d, x + i), hn::Set(d, mean));
      return hn::Mul(centred, centred);
    });
    const float scale = 1.0f / std::sqrt(squares / count + task.epsilon);
    for_each_vector(task.channels, [&](auto d, size_t i) HWY_ATTR {
      const auto unit = hn::Mul(hn::Sub(hn::LoadU(d, x + i), hn::Set(d, mean)), hn::Set(d, scale));
      store(d, hn::MulAdd(unit, hn::LoadU(d, task.weight + i), hn::LoadU(d, task.bias + i)), y + i);
    });
  }
}

void LayerNormToFloat(const LayerNormRows& task, float* y) { LayerNormRowsTo(task, y); }
void LayerNormToBFloat16(const LayerNormRows& task, BFloat16* y) { LayerNormRowsTo(task, y); }

}  // namespace HWY_NAMESPACE
}  // namespace mii
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mii {

HWY_EXPORT(LayerNormToFloat);
HWY_EXPORT(LayerNormToBFloat16);

void layer_norm_rows(const LayerNormRows& task, float* y) { HWY_DYNAMIC_DISPATCH(LayerNormToFloat)(task, y); }
void layer_norm_rows(const LayerNormRows& task, BFloat16* y) {
  HWY_DYNAMIC_DISPATCH(LayerNormToBFloat16)(task, y);
}

}  // namespace mii
#endif
