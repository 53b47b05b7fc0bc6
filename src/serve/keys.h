#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace mii::serve {

/// The bearer keys that open the service. Each line of the file holds a SHA-256 in hexadecimal; the rest of
/// the line is a remark, and '#' begins a comment: what `printf %s KEY | sha256sum` prints. Keys themselves
/// are never stored. The word "scope=write" in a remark lets the key write too; without it, or with
/// "scope=read", it reads.
class Keys {
 public:
  /// No keys: every request is let in.
  Keys() = default;
  /// Throws Error{io} when the file cannot be read, Error{invalid_argument} for a line that is no hash or
  /// has another scope, or for a file without any key.
  static Keys read(const std::filesystem::path& path);

  bool empty() const { return keys_.empty(); }
  size_t size() const { return keys_.size(); }
  /// authorization: the header's value, "Bearer KEY". Takes the same time whichever key it is.
  bool accept(std::string_view authorization) const { return keys_.empty() || !owner(authorization).empty(); }
  /// The hash of the accepted key, to tell clients apart; empty when there is none.
  std::string owner(std::string_view authorization) const;
  /// Whether it is that of a key with the scope.
  bool may_write(std::string_view authorization) const;

 private:
  using Hash = std::array<uint8_t, 32>;
  struct Key {
    Hash hash;
    bool writes = false;
  };
  std::vector<Key> keys_;
};

}  // namespace mii::serve
