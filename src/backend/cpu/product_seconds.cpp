#include "backend/cpu/product_seconds.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>

#include "backend/cpu/onednn.h"
#include "backend/cpu/team.h"
#include "core/aligned_buffer.h"

namespace mii {
namespace {

template <typename Run>
double median_seconds(const Run& run) {
  using Clock = std::chrono::steady_clock;
  run();
  std::array<double, 3> seconds;
  for (double& s : seconds) {
    const auto start = Clock::now();
    run();
    s = std::chrono::duration<double>(Clock::now() - start).count();
  }
  std::ranges::sort(seconds);
  return seconds[seconds.size() / 2];
}

}  // namespace

double measure_product_seconds(DType operands, const ProductShape& shape, int threads) {
  set_team(threads);
  const auto values = [](int64_t rows, int64_t cols) { return static_cast<size_t>(rows * cols); };
  AlignedBuffer<std::byte> a(values(shape.rows, shape.in) * size_of(operands));
  AlignedBuffer<std::byte> weights(values(shape.in, shape.out) * size_of(operands));
  AlignedBuffer<float> c(values(shape.rows, shape.out));
  std::memset(a.data(), 0, a.size());
  std::memset(weights.data(), 0, weights.size());
  return median_seconds(OneDnnPanels::whole_product(operands, shape, a.data(), weights.data(), c.data()));
}

}  // namespace mii
