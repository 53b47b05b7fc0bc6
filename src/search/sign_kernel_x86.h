#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "search/scan_kernels.h"

// AVX-512 can count the bits of eight words at once. Highway 1.0.3 has a target for machines that do
// (HWY_AVX3_DL), but lets the compiler use AVX-VNNI there too, which many of them lack. So the compiler is
// given the loop with exactly these instructions; elsewhere Highway's kernel is taken.

namespace mii::search {

#if defined(__x86_64__)
inline bool can_count_bits_of_vectors() {
  return __builtin_cpu_supports("avx512vpopcntdq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512bw");
}

template <size_t kPlanes>
__attribute__((target("avx512f,avx512vl,avx512bw,avx512vpopcntdq"))) void dots_signs_by_vectors(
    const BitPlanes& query, RowsView rows, std::span<const uint32_t> numbers, int32_t* dots) {
  for (size_t n = 0; n < numbers.size(); ++n) {
    const auto* row = reinterpret_cast<const uint64_t*>(rows.data + numbers[n] * rows.stride);
    int64_t sum = 0;
    for (size_t w = 0; w < query.words; ++w) {
      int64_t value = 0;
      for (size_t b = kPlanes; b-- > 0;)
        value = 2 * value + __builtin_popcountll(row[w] & query.planes[b * query.words + w]);
      sum += 2 * value - ((int64_t{1} << kPlanes) - 1) * __builtin_popcountll(row[w]);
    }
    dots[n] = static_cast<int32_t>(sum);
  }
}
#else
inline bool can_count_bits_of_vectors() { return false; }
template <size_t kPlanes>
void dots_signs_by_vectors(const BitPlanes&, RowsView, std::span<const uint32_t>, int32_t*) {}
#endif

}  // namespace mii::search
