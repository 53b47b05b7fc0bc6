#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/tensor.h"
#include "search/scan_kernels.h"

// Short forms of vectors, by which a search passes over rows that cannot be hits: 8-bit integers with a scale
// for each row, and signs. Both are made of the stored values, so that they can be made again.

namespace mii::search {

/// The bytes of one row. dim: 1 to kMaxDim.
constexpr size_t kMaxDim = 1 << 16;
size_t stored_bytes(size_t dim, DType precision);
/// dim values of int8, then scale and error, float32.
size_t int8_bytes(size_t dim);
/// One bit a value, 1 where it is above 0, the first value in the highest bit of the first byte (numpy's
/// packbits, the vendors' "ubinary"), filled with zeros to whole words of 64 bits.
size_t sign_bytes(size_t dim);

/// The precision is f32 or bf16.
void encode_stored(std::span<const float> vector, DType precision, std::byte* row);
void decode_stored(const std::byte* row, DType precision, std::span<float> vector);
void encode_int8(std::span<const float> stored, std::byte* row);
void encode_signs(std::span<const float> stored, std::byte* row);

/// What stands behind the integers of a row.
struct Int8Scale {
  float scale;  ///< value i is about scale * integer i
  float error;  ///< the length of the difference, rounded up
};
Int8Scale int8_scale(const std::byte* row, size_t dim);

/// A query as 16-bit integers: the dot product with the vector that a row of integers stands for is
/// scale * row's scale * (dot product of the integers), and off by at most error * (that vector's length).
struct Int8Query {
  std::vector<int16_t> values;
  float scale;
  float error;
  explicit Int8Query(std::span<const float> query);
};

/// A query as planes of bits for dots_signs. bits: 4, the query's values to four bits; 1, its signs.
struct SignQuery {
  std::vector<uint64_t> planes;
  size_t bits;
  size_t words;
  SignQuery(std::span<const float> query, size_t bits);
  BitPlanes view() const { return {planes.data(), bits, words}; }
};

}  // namespace mii::search
