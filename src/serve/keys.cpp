#include "serve/keys.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <charconv>
#include <sstream>

#include "core/file.h"
#include "mii/error.h"

namespace mii::serve {
namespace {

constexpr uint64_t kMaxFileBytes = 1 << 20;
constexpr size_t kMaxKeyBytes = 1024;

bool parse_hex(std::string_view hex, std::span<uint8_t> bytes) {
  if (hex.size() != bytes.size() * 2) return false;
  for (size_t i = 0; i < bytes.size(); ++i) {
    const char* first = hex.data() + 2 * i;
    const auto [end, error] = std::from_chars(first, first + 2, bytes[i], 16);
    if (error != std::errc() || end != first + 2) return false;
  }
  return true;
}

bool starts_with_bearer(std::string_view text) {
  constexpr std::string_view kScheme = "bearer ";
  if (text.size() < kScheme.size()) return false;
  for (size_t i = 0; i < kScheme.size(); ++i)
    if ((text[i] | 0x20) != kScheme[i] && text[i] != kScheme[i]) return false;
  return true;
}

}  // namespace

Keys Keys::read(const std::filesystem::path& path) {
  Keys keys;
  std::istringstream lines(read_text_file(path, kMaxFileBytes));
  size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    const size_t begin = line.find_first_not_of(" \t\r");
    if (begin == std::string::npos || line[begin] == '#') continue;
    const size_t end = std::min(line.find_first_of(" \t\r", begin), line.size());
    Hash hash;
    if (!parse_hex(std::string_view(line).substr(begin, end - begin), hash))
      throw Error(ErrorCode::invalid_argument, path.string() + ": line " + std::to_string(number) +
                                                   ": expected a SHA-256 in 64 hexadecimal digits");
    keys.hashes_.push_back(hash);
  }
  if (keys.hashes_.empty()) throw Error(ErrorCode::invalid_argument, path.string() + ": holds no key");
  return keys;
}

std::string Keys::owner(std::string_view authorization) const {
  if (!starts_with_bearer(authorization)) return {};
  authorization.remove_prefix(7);
  while (authorization.starts_with(' ')) authorization.remove_prefix(1);
  if (authorization.empty() || authorization.size() > kMaxKeyBytes) return {};
  Hash hash;
  unsigned size = 0;
  if (EVP_Digest(authorization.data(), authorization.size(), hash.data(), &size, EVP_sha256(), nullptr) != 1)
    return {};
  int accepted = 0;
  for (const Hash& known : hashes_)
    accepted |= CRYPTO_memcmp(known.data(), hash.data(), hash.size()) == 0 ? 1 : 0;
  return accepted != 0 ? std::string(hash.begin(), hash.end()) : std::string();
}

}  // namespace mii::serve
