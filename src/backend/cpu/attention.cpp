#include <algorithm>
#include <cstring>

#include "backend/cpu/tile.h"
#include "backend/cpu/vector_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/attention.cpp"
#include <hwy/foreach_target.h>

#include <hwy/contrib/math/math-inl.h>

#include "backend/cpu/small_product-inl.h"
#include "backend/cpu/store-inl.h"

namespace mii {
#ifndef MII_BACKEND_CPU_ATTENTION_ONCE
#define MII_BACKEND_CPU_ATTENTION_ONCE

// A float vector has at most this many lanes on any machine (SVE's 2048 bits): rows of scratch are rounded up
// to it.
inline constexpr size_t kMaxLanes = 64;
inline size_t padded(size_t n) { return (n + kMaxLanes - 1) / kMaxLanes * kMaxLanes; }

// Where one head's operands lie in its scratch memory; kTileRows queries are processed at once. One key more
// than tokens: the padding token.
struct HeadScratch {
  HeadScratch(size_t tokens, size_t dim)
      : k(padded(tokens * dim)),
        v(k + dim * padded(tokens + 1)),
        scores(v + padded((tokens + 1) * dim)),
        result(scores + kTileRows * padded(tokens + 1)),
        end(result + kTileRows * padded(dim)) {}

  static constexpr size_t q = 0;
  size_t k;
  size_t v;
  size_t scores;
  size_t result;
  size_t end;
};

#endif
}  // namespace mii

HWY_BEFORE_NAMESPACE();
namespace mii {
namespace HWY_NAMESPACE {

// Score of a key that must not be seen: its exp is 0.
constexpr float kHidden = -1e30f;

// One head's operands, gathered so that the products read them in order.
class Head {
 public:
  Head(const AttentionHead& head, float* scratch)
      : head_(head), keys_(head.tokens + (head.padding_tokens > 0 ? 1 : 0)), key_lanes_(RoundUp(keys_)) {
    const HeadScratch places(head.tokens, head.dim);
    q_ = scratch + places.q;
    k_ = scratch + places.k;
    v_ = scratch + places.v;
    scores_ = scratch + places.scores;
    result_ = scratch + places.result;
    Gather();
  }

  template <class T>
  HWY_INLINE void Run(T* out, size_t out_stride) {
    for (size_t first = 0; first < head_.tokens; first += kTileRows) {
      const size_t rows = std::min(kTileRows, head_.tokens - first);
      multiply({q_ + first * head_.dim, head_.dim, 1, k_, key_lanes_, scores_, key_lanes_, rows, head_.dim,
                key_lanes_});
      float scale[kTileRows];
      for (size_t r = 0; r < rows; ++r)
        scale[r] = 1.0f / Exponentials(scores_ + r * key_lanes_, Seen(first + r));
      multiply({scores_, key_lanes_, 1, v_, head_.dim, result_, head_.dim, rows, keys_, head_.dim});
      for (size_t r = 0; r < rows; ++r)
        Scatter(result_ + r * head_.dim, scale[r],
                out + static_cast<size_t>(head_.row_of[first + r]) * out_stride);
    }
  }

 private:
  static size_t RoundUp(size_t n) {
    const size_t lanes = hn::Lanes(hn::ScalableTag<float>());
    return (n + lanes - 1) / lanes * lanes;
  }

  // Queries scaled, keys transposed to [dim, keys], values in rows; the padding token comes last.
  void Gather() {
    const size_t dim = head_.dim;
    for (size_t i = 0; i < head_.tokens; ++i) {
      const float* row = head_.qkv + static_cast<size_t>(head_.row_of[i]) * head_.row_stride;
      for (size_t c = 0; c < dim; ++c) q_[i * dim + c] = row[head_.q_offset + c] * head_.scale;
      PlaceKey(i, row + head_.k_offset, row + head_.v_offset);
    }
    if (head_.padding_tokens > 0) PlaceKey(head_.tokens, head_.padding_k, head_.padding_v);
    for (size_t c = 0; c < dim; ++c) std::fill(k_ + c * key_lanes_ + keys_, k_ + (c + 1) * key_lanes_, 0.0f);
  }

  void PlaceKey(size_t i, const float* k, const float* v) {
    for (size_t c = 0; c < head_.dim; ++c) k_[c * key_lanes_ + i] = k[c];
    std::memcpy(v_ + i * head_.dim, v, head_.dim * sizeof(float));
  }

  size_t Seen(size_t query) const { return head_.causal ? query + 1 : keys_; }

  // Turns scores into exp(score - largest), the padding token's multiplied by its count, and returns their
  // sum.
  HWY_INLINE float Exponentials(float* scores, size_t seen) const {
    const hn::ScalableTag<float> d;
    const size_t lanes = hn::Lanes(d);
    std::fill(scores + seen, scores + key_lanes_, kHidden);
    auto top = hn::Set(d, kHidden);
    for (size_t j = 0; j < key_lanes_; j += lanes) top = hn::Max(top, hn::LoadU(d, scores + j));
    top = hn::MaxOfLanes(d, top);
    auto sum = hn::Zero(d);
    for (size_t j = 0; j < key_lanes_; j += lanes) {
      const auto e = hn::Exp(d, hn::Sub(hn::LoadU(d, scores + j), top));
      hn::StoreU(e, d, scores + j);
      sum = hn::Add(sum, e);
    }
    const float total = hn::GetLane(hn::SumOfLanes(d, sum));
    if (head_.padding_tokens == 0) return total;
    const float one = scores[head_.tokens];
    scores[head_.tokens] = one * static_cast<float>(head_.padding_tokens);
    return total + (scores[head_.tokens] - one);
  }

  template <class T>
  HWY_INLINE void Scatter(const float* row, float scale, T* out) const {
    for_each_vector(head_.dim, [&](auto d, size_t c) HWY_ATTR {
      store(d, hn::Mul(hn::LoadU(d, row + c), hn::Set(d, scale)), out + c);
    });
  }

  const AttentionHead& head_;
  size_t keys_;
  size_t key_lanes_;  // keys, rounded up to whole vectors
  float* q_;
  float* k_;
  float* v_;
  float* scores_;
  float* result_;
};

void AttendToFloat(const AttentionHead& head, float* scratch, float* out, size_t out_stride) {
  Head(head, scratch).Run(out, out_stride);
}
void AttendToBFloat16(const AttentionHead& head, float* scratch, BFloat16* out, size_t out_stride) {
  Head(head, scratch).Run(out, out_stride);
}

}  // namespace HWY_NAMESPACE
}  // namespace mii
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mii {

HWY_EXPORT(AttendToFloat);
HWY_EXPORT(AttendToBFloat16);

size_t attention_scratch(size_t tokens, size_t dim) { return HeadScratch(tokens, dim).end; }

void attend(const AttentionHead& head, float* scratch, float* out, size_t out_stride) {
  HWY_DYNAMIC_DISPATCH(AttendToFloat)(head, scratch, out, out_stride);
}
void attend(const AttentionHead& head, float* scratch, BFloat16* out, size_t out_stride) {
  HWY_DYNAMIC_DISPATCH(AttendToBFloat16)(head, scratch, out, out_stride);
}

}  // namespace mii
#endif
