#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/bytes.h"
#include "image/codec.h"

namespace mii {

/// Reads a file in memory from front to back. Throws Error{invalid_image} where it would read past the end.
class ByteReader {
 public:
  ByteReader(const char* format, Bytes bytes) : format_(format), bytes_(bytes) {}

  size_t position() const { return position_; }
  size_t left() const { return bytes_.size() - position_; }
  void seek(uint64_t position) {
    if (position > bytes_.size()) throw_early_end();
    position_ = static_cast<size_t>(position);
  }

  std::span<const uint8_t> take(uint64_t count) {
    if (count > left()) throw_early_end();
    const std::span<const uint8_t> taken(as_u8(bytes_) + position_, static_cast<size_t>(count));
    position_ += taken.size();
    return taken;
  }
  uint8_t u8() { return take(1)[0]; }
  uint32_t u16_le() { return load_le<uint16_t>(take(2).data()); }
  uint32_t u32_le() { return load_le<uint32_t>(take(4).data()); }

 private:
  [[noreturn]] void throw_early_end() const {
    throw_invalid(format_, "ends early, after " + std::to_string(bytes_.size()) + " bytes");
  }

  const char* format_;
  Bytes bytes_;
  size_t position_ = 0;
};

}  // namespace mii
