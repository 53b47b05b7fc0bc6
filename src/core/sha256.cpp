#include "core/sha256.h"

#include <openssl/evp.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#include "mii/error.h"

namespace mii {
namespace {

EVP_MD_CTX* context_of(void* context) { return static_cast<EVP_MD_CTX*>(context); }

}  // namespace

void Sha256::Free::operator()(void* context) const { EVP_MD_CTX_free(context_of(context)); }

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  EVP_DigestInit_ex(context_of(context_.get()), EVP_sha256(), nullptr);
}

void Sha256::add(std::span<const std::byte> bytes) {
  EVP_DigestUpdate(context_of(context_.get()), bytes.data(), bytes.size());
}

std::string Sha256::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  EVP_DigestFinal_ex(context_of(context_.get()), digest.data(), &size);
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (unsigned i = 0; i < size; ++i) text += {kDigits[digest[i] >> 4], kDigits[digest[i] & 15]};
  return text;
}

std::string sha256_of_file(const std::filesystem::path& path, const std::function<bool()>& cancelled) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"), std::fclose);
  if (!file) throw Error(ErrorCode::io, path.string() + ": cannot be read: " + std::strerror(errno));
  Sha256 hash;
  std::vector<std::byte> block(1 << 20);
  while (const size_t n = std::fread(block.data(), 1, block.size(), file.get())) {
    if (cancelled && cancelled()) throw Error(ErrorCode::cancelled, path.string() + ": not read to its end");
    hash.add(std::span(block).first(n));
  }
  if (std::ferror(file.get()))
    throw Error(ErrorCode::io, path.string() + ": cannot be read: " + std::strerror(errno));
  return hash.finish();
}

}  // namespace mii
