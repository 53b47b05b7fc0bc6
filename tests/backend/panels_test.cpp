// Weights as the fast kernels read them.

#include "backend/cpu/panels.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/onednn.h"

namespace mii {
namespace {

TEST(Panels, AreTransposedOneAfterAnother) {
  for (const int64_t units : {4, 12, 16, 20, 64})
    for (const int64_t columns : {4, 48, 64})
      for (const int64_t panels : {1, 3}) {
        const int64_t out = panels * columns;
        std::vector<uint32_t> values(static_cast<size_t>(out * units));
        for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<uint32_t>(i);
        std::vector<uint32_t> packed(values.size());
        pack_panels({values.data(), out, units}, columns, packed.data());
        for (int64_t o = 0; o < out; ++o)
          for (int64_t u = 0; u < units; ++u) {
            const int64_t place = (o / columns * units + u) * columns + o % columns;
            ASSERT_EQ(packed[static_cast<size_t>(place)], values[static_cast<size_t>(o * units + u)])
                << o << " " << u << " of " << out << " x " << units;
          }
      }
}

struct Shape2 {
  int64_t in;
  int64_t out;
};

// Products of [5, in] and weights of small whole numbers, stored at an address that is a multiple of the
// type's size and no more where `shifted`.
struct Stored {
  DType type;
  StoredMatrix::Layout layout;
  bool shifted = false;
};

void put(DType type, float value, std::byte* to) {
  const BFloat16 rounded = number_to_bfloat16(value);
  if (type == DType::f32)
    std::memcpy(to, &value, sizeof(value));
  else
    std::memcpy(to, &rounded, sizeof(rounded));
}

std::vector<float> products(const Shape2& shape, const Stored& stored) {
  constexpr int64_t kRows = 5;
  const size_t bytes = size_of(stored.type);
  const auto n = static_cast<size_t>(shape.in * shape.out);
  std::vector<std::byte> weights((n + 1) * bytes), a(static_cast<size_t>(kRows * shape.in) * bytes);
  std::byte* first = weights.data() + (stored.shifted ? bytes : 0);
  for (int64_t o = 0; o < shape.out; ++o)
    for (int64_t i = 0; i < shape.in; ++i) {
      const bool out_first = stored.layout == StoredMatrix::Layout::out_in;
      const int64_t place = out_first ? o * shape.in + i : i * shape.out + o;
      put(stored.type, static_cast<float>((o * 31 + i * 17) % 23 - 11),
          first + static_cast<size_t>(place) * bytes);
    }
  for (int64_t i = 0; i < kRows * shape.in; ++i)
    put(stored.type, static_cast<float>(i * 7 % 19 - 9), a.data() + static_cast<size_t>(i) * bytes);
  OneDnnGemm gemm;
  const bool out_first = stored.layout == StoredMatrix::Layout::out_in;
  const TensorView view{first, stored.type,
                        out_first ? Shape{shape.out, shape.in} : Shape{shape.in, shape.out}};
  const Linear linear{
      gemm.pack({.values = view, .layout = stored.layout, .scales = {}}), {}, shape.in, shape.out};
  std::vector<float> c(static_cast<size_t>(kRows * shape.out));
  gemm.multiply(a.data(), kRows, linear, {}, c.data());
  return c;
}

// Weights stored by inputs are put in order by oneDNN itself. Shapes of whole panels, and others.
TEST(Panels, WeightsStoredEitherWayGiveTheSameProducts) {
  using enum StoredMatrix::Layout;
  for (const Shape2& shape :
       {Shape2{64, 64}, {256, 192}, {32, 128}, {1024, 64}, {48, 64}, {100, 70}, {12, 36}, {64, 96}})
    for (const DType type : {DType::f32, DType::bf16}) {
      if (type == DType::bf16 && !OneDnnGemm::has_fast_bf16()) continue;
      const std::vector<float> expected = products(shape, {type, in_out});
      EXPECT_EQ(products(shape, {type, out_in}), expected) << shape.in << " x " << shape.out;
      EXPECT_EQ(products(shape, {type, out_in, true}), expected) << shape.in << " x " << shape.out;
    }
}

}  // namespace
}  // namespace mii
