#include <algorithm>
#include <utility>

#include "backend/cpu/vector_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/channel_attention.cpp"
#include <hwy/foreach_target.h>

#include <hwy/contrib/math/math-inl.h>

#include "backend/cpu/small_product-inl.h"
#include "backend/cpu/store-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mii {
namespace HWY_NAMESPACE {

void ChannelProducts(const ChannelTokens& part, float* sums) {
  const size_t channels = part.groups * part.dim;
  for (size_t g = 0; g < part.groups; ++g) {
    const float* q = part.qkv + g * part.dim;
    const float* k = q + channels;
    multiply({q, 1, 3 * channels, k, 3 * channels, sums + g * part.dim * part.dim, part.dim, part.dim,
              part.tokens, part.dim});
  }
}

void ChannelSoftmax(float* sums, size_t dim, float scale) {
  for (size_t i = 0; i < dim; ++i) {
    float* row = sums + i * dim;
    const float top = *std::max_element(row, row + dim);
    float sum = 0;
    for_each_vector(dim, [&](auto d, size_t j) HWY_ATTR {
      const auto above = hn::Sub(hn::LoadU(d, row + j), hn::Set(d, top));
      const auto e = hn::Exp(d, hn::Mul(above, hn::Set(d, scale)));
      hn::StoreU(e, d, row + j);
      sum += hn::GetLane(hn::SumOfLanes(d, e));
    });
    for_each_vector(dim, [&](auto d, size_t j) HWY_ATTR {
      hn::StoreU(hn::Div(hn::LoadU(d, row + j), hn::Set(d, sum)), d, row + j);
    });
  }
  for (size_t i = 0; i < dim; ++i)
    for (size_t j = 0; j < i; ++j) std::swap(sums[i * dim + j], sums[j * dim + i]);
}

// Rows of the result for a few tokens at a time, so that they are still in the cache when they are rounded.
template <class T>
HWY_INLINE void ChannelMixTo(const ChannelTokens& part, const float* weights, T* out) {
  const size_t channels = part.groups * part.dim;
  HWY_ALIGN float mixed[kTileRows * 256];
  const size_t step = std::min<size_t>(part.dim, 256);
  for (size_t n = 0; n < part.tokens; n += kTileRows) {
    const size_t rows = std::min(kTileRows, part.tokens - n);
    for (size_t g = 0; g < part.groups; ++g)
      for (size_t first = 0; first < part.dim; first += step) {
        const size_t cols = std::min(step, part.dim - first);
        const float* v = part.qkv + n * 3 * channels + 2 * channels + g * part.dim;
        multiply({v, 3 * channels, 1, weights + g * part.dim * part.dim + first, part.dim, mixed, step, rows,
                  part.dim, cols});
        for (size_t r = 0; r < rows; ++r) {
          T* to = out + (n + r) * channels + g * part.dim + first;
          for_each_vector(
              cols, [&](auto d, size_t c) HWY_ATTR { store(d, hn::LoadU(d, mixed + r * step + c), to + c); });
        }
      }
  }
}

void ChannelMixToFloat(const ChannelTokens& part, const float* weights, float* out) {
  ChannelMixTo(part, weights, out);
}
void ChannelMixToBFloat16(const ChannelTokens& part, const float* weights, BFloat16* out) {
  ChannelMixTo(part, weights, out);
}

}  // namespace HWY_NAMESPACE
}  // namespace mii
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mii {

HWY_EXPORT(ChannelProducts);
HWY_EXPORT(ChannelSoftmax);
HWY_EXPORT(ChannelMixToFloat);
HWY_EXPORT(ChannelMixToBFloat16);

void channel_products(const ChannelTokens& part, float* sums) {
  HWY_DYNAMIC_DISPATCH(ChannelProducts)(part, sums);
}

void channel_softmax(float* sums, size_t dim, float scale) {
  HWY_DYNAMIC_DISPATCH(ChannelSoftmax)(sums, dim, scale);
}

void channel_mix(const ChannelTokens& part, const float* weights, float* out) {
  HWY_DYNAMIC_DISPATCH(ChannelMixToFloat)(part, weights, out);
}
void channel_mix(const ChannelTokens& part, const float* weights, BFloat16* out) {
  HWY_DYNAMIC_DISPATCH(ChannelMixToBFloat16)(part, weights, out);
}

}  // namespace mii
#endif
