#include "serve/keys.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
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

// Sets the scope that a remark names. Returns false for one that is none.
bool parse_remark(const std::string& remark, bool& writes) {
  std::istringstream words(remark.substr(0, remark.find('#')));
  for (std::string word; words >> word;) {
    if (!word.starts_with("scope=")) continue;
    writes = word == "scope=write";
    if (!writes && word != "scope=read") return false;
  }
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
    Key key;
    if (!parse_hex(std::string_view(line).substr(begin, end - begin), key.hash))
      throw Error(ErrorCode::invalid_argument, path.string() + ": line " + std::to_string(number) +
                                                   ": expected a SHA-256 in 64 hexadecimal digits");
    if (!parse_remark(line.substr(end), key.writes))
      throw Error(ErrorCode::invalid_argument, path.string() + ": line " + std::to_string(number) +
                                                   ": expected scope=read or scope=write");
    keys.keys_.push_back(key);
  }
  if (keys.keys_.empty()) throw Error(ErrorCode::invalid_argument, path.string() + ": holds no key");
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
  for (const Key& known : keys_)
    accepted |= CRYPTO_memcmp(known.hash.data(), hash.data(), hash.size()) == 0 ? 1 : 0;
  return accepted != 0 ? std::string(hash.begin(), hash.end()) : std::string();
}

bool Keys::may_write(std::string_view authorization) const {
  const std::string hash = owner(authorization);
  return std::ranges::any_of(keys_, [&](const Key& key) {
    return key.writes &&
           std::ranges::equal(key.hash, hash, {}, {}, [](char c) { return static_cast<uint8_t>(c); });
  });
}

}  // namespace mii::serve
