#include "core/base64.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "mii/error.h"

namespace mii {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
enum : uint8_t { kSpace = 0xfd, kPadding = 0xfe, kOther = 0xff };

constexpr std::array<uint8_t, 256> make_table() {
  std::array<uint8_t, 256> table{};
  table.fill(kOther);
  for (size_t i = 0; i < kAlphabet.size(); ++i)
    table[static_cast<unsigned char>(kAlphabet[i])] = static_cast<uint8_t>(i);
  for (const char c : {' ', '\t', '\r', '\n', '\f', '\v'}) table[static_cast<unsigned char>(c)] = kSpace;
  table['='] = kPadding;
  return table;
}
constexpr std::array<uint8_t, 256> kTable = make_table();

[[noreturn]] void refuse(const std::string& what) { throw Error(ErrorCode::invalid_image, what); }

// Where the base64 begins: after the comma of a data URI.
size_t payload_offset(std::string_view text) {
  if (!text.starts_with("data:")) return 0;
  const size_t comma = text.substr(0, 1024).find(',');
  if (comma == std::string_view::npos) refuse("a data URI without a comma");
  if (!text.substr(0, comma).ends_with(";base64")) refuse("a data URI that is not ;base64");
  return comma + 1;
}

}  // namespace

std::vector<std::byte> decode_base64(std::string_view text) {
  std::vector<std::byte> bytes;
  bytes.reserve(text.size() / 4 * 3 + 3);
  uint32_t group = 0;
  int digits = 0, padding = 0;
  for (size_t i = payload_offset(text); i < text.size(); ++i) {
    const uint8_t v = kTable[static_cast<unsigned char>(text[i])];
    if (v == kSpace) continue;
    if (v == kPadding && digits + padding >= 2 && digits + padding < 4) {
      ++padding;
      continue;
    }
    if (v > 63 || padding > 0) refuse("not base64 at character " + std::to_string(i));
    group = group << 6 | v;
    if (++digits < 4) continue;
    for (const int shift : {16, 8, 0}) bytes.push_back(static_cast<std::byte>(group >> shift));
    group = 0;
    digits = 0;
  }
  if (digits == 1) refuse("base64 that ends in the middle of a byte");
  if (padding > 0 && digits + padding != 4) refuse("base64 with wrong padding");
  if (digits >= 2) bytes.push_back(static_cast<std::byte>(group >> (6 * digits - 8)));
  if (digits == 3) bytes.push_back(static_cast<std::byte>(group >> 2));
  return bytes;
}

std::string encode_base64(std::span<const std::byte> bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t n = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k) group = group << 8 | (k < n ? std::to_integer<uint32_t>(bytes[i + k]) : 0);
    for (size_t k = 0; k < 4; ++k) text += k <= n ? kAlphabet[group >> (18 - 6 * k) & 63] : '=';
  }
  return text;
}

}  // namespace mii
