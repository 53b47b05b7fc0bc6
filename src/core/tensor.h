#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace mii {

/// Element types that a safetensors file may hold and that this project reads or writes.
enum class DType : uint8_t { f32, f16, bf16, f64, i64, i32, u8, i8 };

/// Bytes of one element.
size_t size_of(DType dtype);

/// The type's name as safetensors writes it: "F32", "BF16", ...
const char* to_string(DType dtype);

/// Sizes from the slowest dimension to the fastest; empty for a scalar.
using Shape = std::vector<int64_t>;

/// Product of the sizes. The caller has checked that it does not overflow.
int64_t element_count(const Shape& shape);

/// "[2048, 1024]"
std::string to_string(const Shape& shape);

/// A read-only, row-major, dense tensor that somebody else owns.
struct TensorView {
  const std::byte* data = nullptr;  // not necessarily aligned to the element size
  DType dtype = DType::f32;
  Shape shape;

  int64_t elements() const { return element_count(shape); }
  size_t bytes() const { return static_cast<size_t>(elements()) * size_of(dtype); }
};

/// bfloat16 as stored: the upper half of a float32.
struct BFloat16 {
  uint16_t bits;
};

/// Rounds to nearest, ties to even; not for NaN. (Without that case loops of it vectorise.)
constexpr BFloat16 number_to_bfloat16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  return {static_cast<uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16)};
}

/// The same; NaN stays NaN.
BFloat16 to_bfloat16(float value);
float to_float(BFloat16 value);

/// IEEE half precision as stored.
struct Float16 {
  uint16_t bits;
};
float to_float(Float16 value);

/// Rounds to nearest, ties to even; beyond 65504 becomes infinity.
Float16 to_float16(float value);

/// A float of eight bits, E4M3 of arXiv 2209.05433: 4 significant bits, values from 2^-9 to 448, no infinity.
struct Float8 {
  static constexpr float kLargest = 448;
  uint8_t bits;
};
float to_float(Float8 value);

/// Rounds to nearest, ties to even; beyond 448 becomes 448, NaN stays NaN.
Float8 to_float8(float value);

}  // namespace mii
