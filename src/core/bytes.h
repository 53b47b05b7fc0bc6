#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>

// Numbers in files. The caller has checked that their bytes are there; they need not be aligned.

namespace mii {

template <std::unsigned_integral T>
constexpr T swap_bytes(T value) {
  if constexpr (sizeof(T) == 1) return value;
  if constexpr (sizeof(T) == 2) return __builtin_bswap16(value);
  if constexpr (sizeof(T) == 4) return __builtin_bswap32(value);
  if constexpr (sizeof(T) == 8) return __builtin_bswap64(value);
}

/// The number whose sizeof(T) bytes, in that order, begin at `bytes`.
template <std::unsigned_integral T>
T load(const void* bytes, std::endian order) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return order == std::endian::native ? value : swap_bytes(value);
}

template <std::unsigned_integral T>
T load_le(const void* bytes) {
  return load<T>(bytes, std::endian::little);
}

template <std::unsigned_integral T>
T load_be(const void* bytes) {
  return load<T>(bytes, std::endian::big);
}

}  // namespace mii
