#include "backend/cpu/product_rate.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>

#include "backend/cpu/onednn.h"
#include "backend/cpu/team.h"
#include "core/aligned_buffer.h"

namespace mii {

double measure_product_rate(DType operands, int threads) {
  set_team(threads);
  constexpr int64_t kSide = 4096;
  using Clock = std::chrono::steady_clock;
  OneDnnGemm gemm(operands);
  AlignedBuffer<std::byte> a(kSide * kSide * size_of(operands));
  AlignedBuffer<float> c(kSide * kSide);
  std::memset(a.data(), 0, a.size());
  const Linear linear{gemm.pack({.values = {a.data(), operands, {kSide, kSide}}}), {}, kSide, kSide};
  std::array<double, 5> seconds;
  gemm.multiply(a.data(), kSide, linear, {}, c.data());
  for (double& s : seconds) {
    const auto start = Clock::now();
    gemm.multiply(a.data(), kSide, linear, {}, c.data());
    s = std::chrono::duration<double>(Clock::now() - start).count();
  }
  std::ranges::sort(seconds);
  return 2.0 * kSide * kSide * kSide / seconds[seconds.size() / 2];
}

}  // namespace mii
