#include <openssl/evp.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include "download/download.h"
#include "mii/error.h"

namespace mii {

std::string sha256_of_file(const std::filesystem::path& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"), std::fclose);
  if (!file) throw Error(ErrorCode::io, path.string() + ": cannot be read: " + std::strerror(errno));
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> hash(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  EVP_DigestInit_ex(hash.get(), EVP_sha256(), nullptr);
  std::vector<char> block(1 << 20);
  while (const size_t n = std::fread(block.data(), 1, block.size(), file.get()))
    EVP_DigestUpdate(hash.get(), block.data(), n);
  if (std::ferror(file.get()))
    throw Error(ErrorCode::io, path.string() + ": cannot be read: " + std::strerror(errno));
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  EVP_DigestFinal_ex(hash.get(), digest.data(), &size);
  std::string text;
  for (unsigned i = 0; i < size; ++i) {
    constexpr const char* kDigits = "0123456789abcdef";
    text += {kDigits[digest[i] >> 4], kDigits[digest[i] & 15]};
  }
  return text;
}

}  // namespace mii
