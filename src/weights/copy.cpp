#include <cstring>
#include <string>

#include "mii/error.h"
#include "weights/checkpoint.h"

namespace mii {
namespace {

// Values at a time: small enough to stay in the cache between reading, checking and converting.
constexpr int64_t kBlock = 4096;

// The element types as loads from unaligned memory.
struct AsFloat {
  using Stored = uint32_t;
  static bool finite(Stored bits) { return (bits & 0x7F800000u) != 0x7F800000u; }
  static float value(Stored bits) {
    float f;
    std::memcpy(&f, &bits, sizeof(f));
    return f;
  }
};
struct AsBFloat16 {
  using Stored = uint16_t;
  static bool finite(Stored bits) { return (bits & 0x7F80u) != 0x7F80u; }
  static float value(Stored bits) { return to_float(BFloat16{bits}); }
};
struct AsFloat16 {
  using Stored = uint16_t;
  static bool finite(Stored bits) { return (bits & 0x7C00u) != 0x7C00u; }
  static float value(Stored bits) { return to_float(Float16{bits}); }
};

void put(float value, float& to) { to = value; }

// The values are finite, so rounding needs no case for NaN and the loop vectorises.
void put(float value, BFloat16& to) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  to.bits = static_cast<uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

[[noreturn]] void not_finite(std::string_view name, int64_t position) {
  throw Error(ErrorCode::corrupt_weights,
              "tensor '" + std::string(name) + "' is not finite (NaN or infinite) at position " + std::to_string(position));
}

template <typename Type>
void expect_finite(const typename Type::Stored* block, int64_t n, int64_t first, std::string_view name) {
  unsigned bad = 0;
  for (int64_t i = 0; i < n; ++i) bad |= Type::finite(block[i]) ? 0u : 1u;
  if (bad == 0) return;
  for (int64_t i = 0; i < n; ++i)
    if (!Type::finite(block[i])) not_finite(name, first + i);
}

template <typename Type, typename To>
void copy(const TensorView& from, std::string_view name, To* to) {
  typename Type::Stored block[kBlock];
  const int64_t n = from.elements();
  for (int64_t first = 0; first < n; first += kBlock) {
    const int64_t count = std::min(kBlock, n - first);
    std::memcpy(block, from.data + static_cast<size_t>(first) * sizeof(block[0]), static_cast<size_t>(count) * sizeof(block[0]));
    expect_finite<Type>(block, count, first, name);
    for (int64_t i = 0; i < count; ++i) put(Type::value(block[i]), to[first + i]);
    if constexpr (std::is_same_v<To, BFloat16>)
      // A float32 next to its largest value would round up to infinity.
      for (int64_t i = 0; i < count; ++i)
        if (!AsBFloat16::finite(to[first + i].bits)) not_finite(name, first + i);
  }
}

template <typename To>
void copy_as(const TensorView& from, std::string_view name, To* to) {
  switch (from.dtype) {
    case DType::f32: return copy<AsFloat>(from, name, to);
    case DType::bf16: return copy<AsBFloat16>(from, name, to);
    case DType::f16: return copy<AsFloat16>(from, name, to);
    default:
      throw Error(ErrorCode::corrupt_weights, "tensor '" + std::string(name) + "' has dtype " + to_string(from.dtype) +
                                                  ", expected F32, F16 or BF16");
  }
}

}  // namespace

void copy_as_float(const TensorView& from, std::string_view name, float* to) { copy_as(from, name, to); }
void copy_as_bfloat16(const TensorView& from, std::string_view name, BFloat16* to) { copy_as(from, name, to); }

}  // namespace mii
