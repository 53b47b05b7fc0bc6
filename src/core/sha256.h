#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace mii {

/// SHA-256 (FIPS 180-4) of bytes that come one piece after another.
class Sha256 {
 public:
  Sha256();
  void add(std::span<const std::byte> bytes);
  void add(std::string_view text) { add(std::as_bytes(std::span(text.data(), text.size()))); }
  /// 64 hexadecimal digits. To be called once.
  std::string finish();

 private:
  struct Free {
    void operator()(void* context) const;
  };
  std::unique_ptr<void, Free> context_;
};

/// Of a whole file. Throws Error{io}; Error{cancelled} when `cancelled`, asked now and then, says so.
std::string sha256_of_file(const std::filesystem::path& path, const std::function<bool()>& cancelled = {});

}  // namespace mii
