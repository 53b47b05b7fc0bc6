#include "backend/cpu/vector_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/depthwise_conv.cpp"
#include <hwy/foreach_target.h>

#include "backend/cpu/store-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mii {
namespace HWY_NAMESPACE {

// The taps of one output token that lie inside the grid.
struct Taps {
  size_t count = 0;
  const float* x[9];
  const float* weight[9];
};

HWY_INLINE Taps TapsInside(const DepthwiseRow& task, size_t column) {
  Taps taps;
  const auto channels = static_cast<ptrdiff_t>(task.channels);
  const auto width = static_cast<ptrdiff_t>(task.width);
  const auto here = static_cast<ptrdiff_t>(column);
  for (ptrdiff_t dy = task.has_above ? -1 : 0; dy <= (task.has_below ? 1 : 0); ++dy)
    for (ptrdiff_t dx = here == 0 ? 0 : -1; dx <= (here + 1 == width ? 0 : 1); ++dx) {
      taps.x[taps.count] = task.x + (dy * width + here + dx) * channels;
      taps.weight[taps.count] = task.weight + ((dy + 1) * 3 + dx + 1) * channels;
      ++taps.count;
    }
  return taps;
}

template <class D>
HWY_INLINE auto WeightedSum(D d, const Taps& taps, size_t count, size_t c, hn::Vec<D> sum) {
  for (size_t t = 0; t < count; ++t)
    sum = hn::MulAdd(hn::LoadU(d, taps.x[t] + c), hn::LoadU(d, taps.weight[t] + c), sum);
  return sum;
}

// Of several columns, all of whose neighbours to the left and right lie inside: each weight is loaded once
// for all of them, each value once for the outputs that it belongs to.
constexpr size_t kColumns = 4;

template <class D>
HWY_INLINE void ColumnsTo(D d, const DepthwiseRow& task, size_t column, size_t c, float* y) {
  const auto channels = static_cast<ptrdiff_t>(task.channels);
  const float* here = task.x + static_cast<ptrdiff_t>(column) * channels + c;
  const auto bias = hn::LoadU(d, task.bias + c);
  hn::Vec<D> sum[kColumns];
  for (size_t k = 0; k < kColumns; ++k)
    sum[k] = hn::Add(hn::LoadU(d, here + static_cast<ptrdiff_t>(k) * channels), bias);
  for (ptrdiff_t dy = task.has_above ? -1 : 0; dy <= (task.has_below ? 1 : 0); ++dy) {
    const float* x = here + (dy * static_cast<ptrdiff_t>(task.width) - 1) * channels;
    const float* weight = task.weight + (dy + 1) * 3 * channels + static_cast<ptrdiff_t>(c);
    hn::Vec<D> value[kColumns + 2];
    for (size_t k = 0; k < kColumns + 2; ++k)
      value[k] = hn::LoadU(d, x + static_cast<ptrdiff_t>(k) * channels);
    for (size_t dx = 0; dx < 3; ++dx) {
      const auto w = hn::LoadU(d, weight + static_cast<ptrdiff_t>(dx) * channels);
      for (size_t k = 0; k < kColumns; ++k) sum[k] = hn::MulAdd(value[k + dx], w, sum[k]);
    }
  }
  for (size_t k = 0; k < kColumns; ++k) hn::StoreU(sum[k], d, y + k * task.channels + c);
}

void DepthwiseRowTo(const DepthwiseRow& task, float* y) {
  for (size_t column = 0; column < task.width;) {
    if (column > 0 && column + kColumns < task.width) {
      for_each_vector(task.channels, [&](auto d, size_t c) HWY_ATTR { ColumnsTo(d, task, column, c, y); });
      column += kColumns;
      y += kColumns * task.channels;
      continue;
    }
    const float* x = task.x + column * task.channels;
    const Taps taps = TapsInside(task, column);
    const bool inner = taps.count == 9;
    for_each_vector(task.channels, [&](auto d, size_t c) HWY_ATTR {
      const auto start = hn::Add(hn::LoadU(d, x + c), hn::LoadU(d, task.bias + c));
      // With the count as a constant the compiler unrolls the common case.
      hn::StoreU(inner ? WeightedSum(d, taps, 9, c, start) : WeightedSum(d, taps, taps.count, c, start), d,
                 y + c);
    });
    ++column;
    y += task.channels;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace mii
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mii {

HWY_EXPORT(DepthwiseRowTo);

void depthwise_row(const DepthwiseRow& task, float* y) { HWY_DYNAMIC_DISPATCH(DepthwiseRowTo)(task, y); }

}  // namespace mii
#endif
