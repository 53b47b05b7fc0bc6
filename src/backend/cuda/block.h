#pragma once

#include <cstddef>
#include <cstdint>

#include "backend/cuda/places.h"
#include "core/tensor.h"

#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>
#include <mma.h>
#define MII_DEVICE __device__ inline
#else
#include <cmath>
#include <cstring>
#define MII_DEVICE inline
#endif

// What kernels are written in: a block of threads that goes through loops together. Each loop's rounds are
// independent of each other and are spread over the threads; all threads have finished it before the next
// begins. The same kernels compile as plain C++, where the rounds run one after another, forwards or
// backwards: so their arithmetic and their places are tested on machines without a device.

namespace mii::cuda {

/// V neighbouring values that are loaded and stored at once.
template <typename T, int V>
struct alignas(sizeof(T) * V < 16 ? sizeof(T) * V : 16) Pack {
  T v[V];
};

template <int V, typename T>
MII_DEVICE Pack<T, V> load(const T* from) {
  return *reinterpret_cast<const Pack<T, V>*>(from);
}
template <int V, typename T>
MII_DEVICE void store(T* to, const Pack<T, V>& values) {
  *reinterpret_cast<Pack<T, V>*>(to) = values;
}

enum class Order { rows, columns };  ///< in which a tile's values lie one after another

#ifdef __CUDACC__

MII_DEVICE float as_float(float x) { return x; }
MII_DEVICE float as_float(BFloat16 x) { return __bfloat162float(__ushort_as_bfloat16(x.bits)); }
MII_DEVICE float as_float(Float16 x) { return __half2float(__ushort_as_half(x.bits)); }
MII_DEVICE float as_float(Float8 x) {
  return __half2float(__half(__nv_cvt_fp8_to_halfraw(x.bits, __NV_E4M3)));
}

template <typename T>
MII_DEVICE T rounded(float x);
template <>
MII_DEVICE float rounded<float>(float x) {
  return x;
}
template <>
MII_DEVICE BFloat16 rounded<BFloat16>(float x) {
  return {__bfloat16_as_ushort(__float2bfloat16_rn(x))};
}
template <>
MII_DEVICE Float16 rounded<Float16>(float x) {
  return {__half_as_ushort(__float2half_rn(x))};
}
template <>
MII_DEVICE Float8 rounded<Float8>(float x) {
  return {__nv_cvt_float_to_fp8(x, __NV_SATFINITE, __NV_E4M3)};
}

constexpr unsigned kAllLanes = 0xFFFFFFFFu;

class Warp {
 public:
  explicit __device__ Warp(int index) : index_(index) {}
  __device__ int index() const { return index_; }  ///< in its block

  template <typename F>
  __device__ void each(int n, const F& f) const {
    for (int i = lane(); i < n; i += 32) f(i);
    __syncwarp();
  }
  template <typename F>
  __device__ float sum(int n, const F& f) const {
    float total = 0;
    for (int i = lane(); i < n; i += 32) total += f(i);
    for (int step = 16; step > 0; step /= 2) total += __shfl_xor_sync(kAllLanes, total, step);
    return total;
  }
  /// Not for no rounds at all.
  template <typename F>
  __device__ float max(int n, const F& f) const {
    float top = -INFINITY;
    for (int i = lane(); i < n; i += 32) top = fmaxf(top, f(i));
    for (int step = 16; step > 0; step /= 2) top = fmaxf(top, __shfl_xor_sync(kAllLanes, top, step));
    return top;
  }
  static __device__ int lane() { return threadIdx.x % 32; }

 private:
  int index_;
};

class Block {
 public:
  explicit __device__ Block(std::byte* shared) : shared_(shared) {}
  __device__ int64_t index() const { return blockIdx.x; }
  template <typename T>
  __device__ T* shared(int64_t offset) const {
    return reinterpret_cast<T*>(shared_ + offset);
  }

  template <typename F>
  __device__ void each(int n, const F& f) const {
    for (int i = threadIdx.x; i < n; i += blockDim.x) f(i);
    __syncthreads();
  }
  /// The rounds of a loop that warps share; each round is one warp's.
  template <typename F>
  __device__ void each_warp(int n, const F& f) const {
    const int warp = threadIdx.x / 32;
    for (int i = warp; i < n; i += blockDim.x / 32) f(Warp(warp), i);
    __syncthreads();
  }

 private:
  std::byte* shared_;
};

template <typename T>
struct WmmaType;
template <>
struct WmmaType<BFloat16> {
  using type = __nv_bfloat16;
};
template <>
struct WmmaType<Float16> {
  using type = __half;
};

/// 16 x 16 sums in the registers of a warp.
template <typename T>
class Tile {
  using Element = typename WmmaType<T>::type;
  template <Order order>
  using Wmma = std::conditional_t<order == Order::rows, nvcuda::wmma::row_major, nvcuda::wmma::col_major>;

 public:
  __device__ Tile() { nvcuda::wmma::fill_fragment(sums_, 0.0f); }

  /// Adds the product of 16 x 16 values of a and of b; strides are from row to row, or column to column.
  template <Order a_order, Order b_order>
  __device__ void add(const Warp&, const T* a, int a_stride, const T* b, int b_stride) {
    using namespace nvcuda;
    wmma::fragment<wmma::matrix_a, kTile, kTile, kTile, Element, Wmma<a_order>> left;
    wmma::fragment<wmma::matrix_b, kTile, kTile, kTile, Element, Wmma<b_order>> right;
    wmma::load_matrix_sync(left, reinterpret_cast<const Element*>(a), a_stride);
    wmma::load_matrix_sync(right, reinterpret_cast<const Element*>(b), b_stride);
    wmma::mma_sync(sums_, left, right, sums_);
  }
  __device__ void store(const Warp&, float* to, int stride) const {
    nvcuda::wmma::store_matrix_sync(to, sums_, stride, nvcuda::wmma::mem_row_major);
    __syncwarp();
  }

 private:
  nvcuda::wmma::fragment<nvcuda::wmma::accumulator, kTile, kTile, kTile, float> sums_;
};

/// The same without tensor cores: half a row of sums in each thread.
template <typename T>
class PlainTile {
 public:
  template <Order a_order, Order b_order>
  __device__ void add(const Warp&, const T* a, int a_stride, const T* b, int b_stride) {
    const int row = Warp::lane() / 2, column = Warp::lane() % 2 * 8;
#pragma unroll
    for (int k = 0; k < kTile; ++k) {
      const float left = as_float(a_order == Order::rows ? a[row * a_stride + k] : a[k * a_stride + row]);
#pragma unroll
      for (int j = 0; j < 8; ++j)
        sums_[j] += left * as_float(b_order == Order::rows ? b[k * b_stride + column + j]
                                                           : b[(column + j) * b_stride + k]);
    }
  }
  __device__ void store(const Warp&, float* to, int stride) const {
    const int row = Warp::lane() / 2, column = Warp::lane() % 2 * 8;
#pragma unroll
    for (int j = 0; j < 8; ++j) to[row * stride + column + j] = sums_[j];
    __syncwarp();
  }

 private:
  float sums_[8] = {};
};
template <>
class Tile<float> : public PlainTile<float> {};
template <>
class Tile<Float8> : public PlainTile<Float8> {};

#else  // On the host.

MII_DEVICE float as_float(float x) { return x; }
MII_DEVICE float as_float(BFloat16 x) { return to_float(x); }
MII_DEVICE float as_float(Float16 x) { return to_float(x); }
MII_DEVICE float as_float(Float8 x) { return to_float(x); }

template <typename T>
T rounded(float x);
template <>
inline float rounded<float>(float x) {
  return x;
}
template <>
inline BFloat16 rounded<BFloat16>(float x) {
  return to_bfloat16(x);
}
template <>
inline Float16 rounded<Float16>(float x) {
  return to_float16(x);
}
template <>
inline Float8 rounded<Float8>(float x) {
  return to_float8(x);
}

/// Whether the rounds run backwards. A kernel whose rounds depend on each other gives other numbers then.
inline bool backwards = false;

template <typename F>
void each_round(int n, const F& f) {
  for (int i = 0; i < n; ++i) f(backwards ? n - 1 - i : i);
}

class Warp {
 public:
  explicit Warp(int index) : index_(index) {}
  int index() const { return index_; }

  template <typename F>
  void each(int n, const F& f) const {
    each_round(n, f);
  }
  template <typename F>
  float sum(int n, const F& f) const {
    float totals[32] = {};
    for (int i = 0; i < n; ++i) totals[i % 32] += f(i);
    for (int step = 16; step > 0; step /= 2)
      for (int lane = 0; lane < step; ++lane) totals[lane] += totals[lane + step];
    return totals[0];
  }
  template <typename F>
  float max(int n, const F& f) const {
    float top = -INFINITY;
    for (int i = 0; i < n; ++i) top = std::fmax(top, f(i));
    return top;
  }

 private:
  int index_;
};

class Block {
 public:
  Block(int64_t index, int threads, std::byte* shared) : index_(index), threads_(threads), shared_(shared) {}
  int64_t index() const { return index_; }
  template <typename T>
  T* shared(int64_t offset) const {
    return reinterpret_cast<T*>(shared_ + offset);
  }

  template <typename F>
  void each(int n, const F& f) const {
    each_round(n, f);
  }
  template <typename F>
  void each_warp(int n, const F& f) const {
    each_round(n, [&](int i) { f(Warp(i % (threads_ / 32)), i); });
  }

 private:
  int64_t index_;
  int threads_;
  std::byte* shared_;
};

template <typename T>
class Tile {
 public:
  template <Order a_order, Order b_order>
  void add(const Warp&, const T* a, int a_stride, const T* b, int b_stride) {
    for (int i = 0; i < kTile; ++i)
      for (int k = 0; k < kTile; ++k) {
        const float left = as_float(a_order == Order::rows ? a[i * a_stride + k] : a[k * a_stride + i]);
        for (int j = 0; j < kTile; ++j)
          sums_[i * kTile + j] +=
              left * as_float(b_order == Order::rows ? b[k * b_stride + j] : b[j * b_stride + k]);
      }
  }
  void store(const Warp&, float* to, int stride) const {
    for (int i = 0; i < kTile; ++i) std::memcpy(to + i * stride, sums_ + i * kTile, kTile * sizeof(float));
  }

 private:
  float sums_[kTile * kTile] = {};
};

#endif

}  // namespace mii::cuda
