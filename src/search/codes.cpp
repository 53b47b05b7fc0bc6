#include "search/codes.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace mii::search {
namespace {

// Several at once: one after another, each would wait for the one before.
constexpr size_t kChains = 8;

float largest(std::span<const float> values) {
  float most[kChains] = {};
  size_t i = 0;
  for (; i + kChains <= values.size(); i += kChains)
    for (size_t c = 0; c < kChains; ++c) most[c] = std::max(most[c], std::fabs(values[i + c]));
  for (; i < values.size(); ++i) most[0] = std::max(most[0], std::fabs(values[i]));
  return *std::max_element(most, most + kChains);
}

// The position of a value's bit in a row of signs.
size_t byte_of(size_t i) { return i / 8; }
uint8_t bit_of(size_t i) { return static_cast<uint8_t>(0x80u >> (i % 8)); }

float rounded_up(double value) {
  return std::nextafter(static_cast<float>(value), std::numeric_limits<float>::infinity());
}

}  // namespace

size_t stored_bytes(size_t dim, DType precision) { return dim * size_of(precision); }
size_t int8_bytes(size_t dim) { return dim + sizeof(Int8Scale); }
size_t sign_bytes(size_t dim) { return (dim + 63) / 64 * 8; }

void encode_stored(std::span<const float> vector, DType precision, std::byte* row) {
  if (precision == DType::f32) {
    std::memcpy(row, vector.data(), vector.size_bytes());
    return;
  }
  for (size_t i = 0; i < vector.size(); ++i) {
    const BFloat16 value = number_to_bfloat16(vector[i]);
    std::memcpy(row + i * sizeof value, &value, sizeof value);
  }
}

void decode_stored(const std::byte* row, DType precision, std::span<float> vector) {
  if (precision == DType::f32) {
    std::memcpy(vector.data(), row, vector.size_bytes());
    return;
  }
  for (size_t i = 0; i < vector.size(); ++i) {
    BFloat16 value;
    std::memcpy(&value, row + i * sizeof value, sizeof value);
    vector[i] = to_float(value);
  }
}

void encode_int8(std::span<const float> stored, std::byte* row) {
  const float scale = largest(stored) / 127;
  const float inverse = scale > 0 ? 1 / scale : 0;
  double squares = 0;
  for (size_t i = 0; i < stored.size(); ++i) {
    const float number = std::clamp(std::nearbyint(stored[i] * inverse), -127.0f, 127.0f);
    row[i] = static_cast<std::byte>(static_cast<int8_t>(number));
    const double difference = stored[i] - double{scale} * number;
    squares += difference * difference;
  }
  const Int8Scale behind{scale, rounded_up(std::sqrt(squares))};
  std::memcpy(row + stored.size(), &behind, sizeof behind);
}

void encode_signs(std::span<const float> stored, std::byte* row) {
  std::memset(row, 0, sign_bytes(stored.size()));
  size_t i = 0;
  for (; i + 8 <= stored.size(); i += 8) {
    unsigned byte = 0;
    for (size_t bit = 0; bit < 8; ++bit) byte = byte << 1 | static_cast<unsigned>(stored[i + bit] > 0);
    row[i / 8] = static_cast<std::byte>(byte);
  }
  for (; i < stored.size(); ++i)
    if (stored[i] > 0) row[byte_of(i)] |= static_cast<std::byte>(bit_of(i));
}

Int8Scale int8_scale(const std::byte* row, size_t dim) {
  Int8Scale behind;
  std::memcpy(&behind, row + dim, sizeof behind);
  return behind;
}

Int8Query::Int8Query(std::span<const float> query) : values(query.size()) {
  const auto most = static_cast<float>(
      std::min<size_t>(std::numeric_limits<int16_t>::max(),
                       static_cast<size_t>(std::numeric_limits<int32_t>::max()) / (127 * query.size())));
  scale = largest(query) / most;
  const float inverse = scale > 0 ? 1 / scale : 0;
  double squares = 0;
  for (size_t i = 0; i < query.size(); ++i) {
    const float number = std::clamp(std::nearbyint(query[i] * inverse), -most, most);
    values[i] = static_cast<int16_t>(number);
    const double difference = query[i] - double{scale} * number;
    squares += difference * difference;
  }
  error = rounded_up(std::sqrt(squares));
}

SignQuery::SignQuery(std::span<const float> query, size_t query_bits)
    : planes(query_bits * sign_bytes(query.size()) / 8),
      bits(query_bits),
      words(sign_bytes(query.size()) / 8) {
  const auto levels = static_cast<float>((size_t{1} << bits) - 1);
  const float most = largest(query);
  auto* bytes = reinterpret_cast<uint8_t*>(planes.data());
  for (size_t i = 0; i < query.size(); ++i) {
    const float share = bits == 1 ? (query[i] > 0 ? 1.0f : 0.0f) : (query[i] / most + 1) / 2;
    const auto value = static_cast<size_t>(std::clamp(std::nearbyint(share * levels), 0.0f, levels));
    for (size_t b = 0; b < bits; ++b)
      if ((value >> b & 1) != 0) bytes[b * words * 8 + byte_of(i)] |= bit_of(i);
  }
}

}  // namespace mii::search
