#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

// The inner loops of a search, compiled for several instruction sets and chosen at run time (Highway). All of
// them give the same bits on every instruction set: floating-point sums have one order, whatever the width of
// a register, and no product is fused with a sum; the others are sums of integers, which do not overflow.

namespace mii::search {

/// Rows as they lie in a file: row i is at data + i * stride.
struct RowsView {
  const std::byte* data = nullptr;
  size_t stride = 0;
};

/// A dot product is 32 sums: sum j, of the products j, j + 32, j + 64, ..., in that order. Then
/// sum j += sum j + 16 for j < 16, sum j += sum j + 8 for j < 8, ..., until one is left.
constexpr size_t kPartialSums = 32;

/// dots[i] = query . row numbers[i]; query: [dim]; the rows hold dim values of float32 or bfloat16.
void dots_f32(const float* query, size_t dim, RowsView rows, std::span<const uint32_t> numbers, float* dots);
void dots_bf16(const float* query, size_t dim, RowsView rows, std::span<const uint32_t> numbers, float* dots);

/// The rows begin with dim values of int8. 127 * dim * the largest of the query must be below 2^31.
void dots_int8(const int16_t* query, size_t dim, RowsView rows, std::span<const uint32_t> numbers,
               int32_t* dots);

/// The rows are `words` words of bits. planes: [count, words], the bits of the query's values, the lowest
/// first: value i is the sum of 2^b * (bit i of plane b). Gives, over the bits that are set in the row, the
/// sum of 2 * value - (2^count - 1).
struct BitPlanes {
  const uint64_t* planes = nullptr;
  size_t count = 0;
  size_t words = 0;
};
void dots_signs(const BitPlanes& query, RowsView rows, std::span<const uint32_t> numbers, int32_t* dots);

}  // namespace mii::search
