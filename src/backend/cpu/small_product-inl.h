// Included once per instruction set by Highway's foreach_target.h.
#if defined(MII_BACKEND_CPU_SMALL_PRODUCT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MII_BACKEND_CPU_SMALL_PRODUCT_INL_H_
#undef MII_BACKEND_CPU_SMALL_PRODUCT_INL_H_
#else
#define MII_BACKEND_CPU_SMALL_PRODUCT_INL_H_
#endif

#include <hwy/highway.h>

#include "backend/cpu/tile.h"

HWY_BEFORE_NAMESPACE();
namespace mii {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// c = a b for matrices that fit in the cache: a [rows, depth] with any strides, b [depth, cols], c [rows,
// cols].
struct SmallProduct {
  const float* a;
  size_t a_row_stride;
  size_t a_depth_stride;
  const float* b;
  size_t b_stride;
  float* c;
  size_t c_stride;
  size_t rows;
  size_t depth;
  size_t cols;
};

template <size_t kRows, size_t kVectors, class D>
HWY_INLINE void tile(D d, const SmallProduct& p, size_t row, size_t col) {
  const size_t lanes = hn::Lanes(d);
  hn::Vec<D> sum[kRows][kVectors];
  for (size_t r = 0; r < kRows; ++r)
    for (size_t v = 0; v < kVectors; ++v) sum[r][v] = hn::Zero(d);
  const float* a = p.a + row * p.a_row_stride;
  const float* b = p.b + col;
  for (size_t k = 0; k < p.depth; ++k, a += p.a_depth_stride, b += p.b_stride) {
    hn::Vec<D> bv[kVectors];
    for (size_t v = 0; v < kVectors; ++v) bv[v] = hn::LoadU(d, b + v * lanes);
    for (size_t r = 0; r < kRows; ++r) {
      const auto av = hn::Set(d, a[r * p.a_row_stride]);
      for (size_t v = 0; v < kVectors; ++v) sum[r][v] = hn::MulAdd(av, bv[v], sum[r][v]);
    }
  }
  for (size_t r = 0; r < kRows; ++r)
    for (size_t v = 0; v < kVectors; ++v)
      hn::StoreU(sum[r][v], d, p.c + (row + r) * p.c_stride + col + v * lanes);
}

template <size_t kVectors, class D>
HWY_INLINE void column_of_tiles(D d, const SmallProduct& p, size_t col) {
  size_t row = 0;
  for (; row + kTileRows <= p.rows; row += kTileRows) tile<kTileRows, kVectors>(d, p, row, col);
  if (row + 4 <= p.rows) tile<4, kVectors>(d, p, row, col), row += 4;
  if (row + 2 <= p.rows) tile<2, kVectors>(d, p, row, col), row += 2;
  if (row < p.rows) tile<1, kVectors>(d, p, row, col);
}

HWY_INLINE void multiply(const SmallProduct& p) {
  const hn::ScalableTag<float> d;
  const hn::CappedTag<float, 8> eight;
  const hn::CappedTag<float, 1> one;
  const size_t lanes = hn::Lanes(d);
  size_t col = 0;
  for (; col + kTileVectors * lanes <= p.cols; col += kTileVectors * lanes)
    column_of_tiles<kTileVectors>(d, p, col);
  for (; col + lanes <= p.cols; col += lanes) column_of_tiles<1>(d, p, col);
  for (; col + hn::Lanes(eight) <= p.cols; col += hn::Lanes(eight)) column_of_tiles<1>(eight, p, col);
  for (; col < p.cols; ++col) column_of_tiles<1>(one, p, col);
}

}  // namespace HWY_NAMESPACE
}  // namespace mii
HWY_AFTER_NAMESPACE();

#endif
