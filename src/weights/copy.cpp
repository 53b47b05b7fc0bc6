#include <cstring>
#include <string>

#include "mii/error.h"
#include "weights/checkpoint.h"

namespace mii {
namespace {

// Values per block: few enough to stay in the cache between reading, checking and converting.
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

// The values are finite.
void put(float value, float& to) { to = value; }
void put(float value, BFloat16& to) { to = number_to_bfloat16(value); }
void put(float value, Float16& to) { to = to_float16(value); }

[[noreturn]] void not_finite(std::string_view name, int64_t position) {
  throw Error(ErrorCode::corrupt_weights, "tensor '" + std::string(name) +
                                              "' is not finite (NaN or infinite) at position " +
                                              std::to_string(position));
}

// The first position in [first, first + n) of a block whose value is not finite, or `none`.
template <typename Type>
int64_t first_not_finite(const typename Type::Stored* block, int64_t n, int64_t first, int64_t none) {
  unsigned bad = 0;
  for (int64_t i = 0; i < n; ++i) bad |= Type::finite(block[i]) ? 0u : 1u;
  if (bad == 0) return none;
  int64_t i = 0;
  while (Type::finite(block[i])) ++i;
  return first + i;
}

// Calls with_block(block, n, first) for each block of the values, on several threads when they are many, and
// throws for the first value that is not finite, in the tensor or as with_block reports (its position, or the
// number of values).
template <typename Type, typename WithBlock>
void each_block(const TensorView& from, std::string_view name, const WithBlock& with_block) {
  constexpr int64_t kWorthThreads = 1 << 18;
  const int64_t n = from.elements();
  int64_t bad = n;
#pragma omp parallel for schedule(static) reduction(min : bad) if (n >= kWorthThreads)
  for (int64_t first = 0; first < n; first += kBlock) {
    typename Type::Stored block[kBlock];
    const int64_t count = std::min(kBlock, n - first);
    std::memcpy(block, from.data + static_cast<size_t>(first) * sizeof(block[0]),
                static_cast<size_t>(count) * sizeof(block[0]));
    bad = std::min(bad, first_not_finite<Type>(block, count, first, n));
    bad = std::min(bad, with_block(block, count, first));
  }
  if (bad < n) not_finite(name, bad);
}

template <typename Type, typename To>
void copy(const TensorView& from, std::string_view name, To* to) {
  const int64_t none = from.elements();
  each_block<Type>(from, name, [&](const typename Type::Stored* block, int64_t n, int64_t first) {
    for (int64_t i = 0; i < n; ++i) put(Type::value(block[i]), to[first + i]);
    if constexpr (std::is_same_v<To, BFloat16>)
      // A float32 next to its largest value would round up to infinity.
      return first_not_finite<AsBFloat16>(&to[first].bits, n, first, none);
    else if constexpr (std::is_same_v<To, Float16>)
      return first_not_finite<AsFloat16>(&to[first].bits, n, first, none);
    else
      return none;
  });
}

[[noreturn]] void wrong_dtype(const TensorView& tensor, std::string_view name) {
  throw Error(ErrorCode::corrupt_weights, "tensor '" + std::string(name) + "' has dtype " +
                                              to_string(tensor.dtype) + ", expected F32, F16 or BF16");
}

template <typename To>
void copy_as(const TensorView& from, std::string_view name, To* to) {
  switch (from.dtype) {
    case DType::f32:
      return copy<AsFloat>(from, name, to);
    case DType::bf16:
      return copy<AsBFloat16>(from, name, to);
    case DType::f16:
      return copy<AsFloat16>(from, name, to);
    default:
      wrong_dtype(from, name);
  }
}

}  // namespace

void expect_finite(const TensorView& tensor, std::string_view name) {
  const int64_t none = tensor.elements();
  const auto only_look = [none](const auto*, int64_t, int64_t) { return none; };
  switch (tensor.dtype) {
    case DType::f32:
      return each_block<AsFloat>(tensor, name, only_look);
    case DType::bf16:
      return each_block<AsBFloat16>(tensor, name, only_look);
    case DType::f16:
      return each_block<AsFloat16>(tensor, name, only_look);
    default:
      wrong_dtype(tensor, name);
  }
}

void copy_as_float(const TensorView& from, std::string_view name, float* to) { copy_as(from, name, to); }
void copy_as_bfloat16(const TensorView& from, std::string_view name, BFloat16* to) {
  copy_as(from, name, to);
}
void copy_as_float16(const TensorView& from, std::string_view name, Float16* to) { copy_as(from, name, to); }

void copy_as(DType dtype, const TensorView& from, std::string_view name, std::byte* to) {
  switch (dtype) {
    case DType::f32:
      return copy_as_float(from, name, reinterpret_cast<float*>(to));
    case DType::bf16:
      return copy_as_bfloat16(from, name, reinterpret_cast<BFloat16*>(to));
    case DType::f16:
      return copy_as_float16(from, name, reinterpret_cast<Float16*>(to));
    default:
      throw Error(ErrorCode::internal, std::string("no conversion of weights to ") + to_string(dtype));
  }
}

}  // namespace mii
