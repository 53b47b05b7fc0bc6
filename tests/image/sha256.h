#pragma once

#include <cstdint>
#include <cstdio>
#include <span>
#include <string>

#include <openssl/evp.h>

namespace mii {

/// The SHA-256 in lower-case hexadecimal digits.
inline std::string sha256(std::span<const uint8_t> bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  EVP_Digest(bytes.data(), bytes.size(), digest, &length, EVP_sha256(), nullptr);
  std::string text;
  char pair[3];
  for (unsigned i = 0; i < length; ++i)
    text.append(pair, static_cast<size_t>(std::snprintf(pair, 3, "%02x", digest[i])));
  return text;
}

}  // namespace mii
