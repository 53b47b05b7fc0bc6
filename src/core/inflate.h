#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <span>

namespace mii {

struct FreeBytes {
  void operator()(std::byte* p) const { std::free(p); }
};
using HeapBytes = std::unique_ptr<std::byte[], FreeBytes>;

/// Whether the bytes begin as a gzip stream does. Source: RFC 1952, 2.3.1.
bool is_gzip(std::span<const std::byte> bytes);

/// Inflates a compressed stream from memory, in parts of the caller's choice, so that nobody pays for what a
/// bomb would unpack to. Bytes behind the stream are ignored. Not copyable.
class Inflater {
 public:
  enum class Format {
    raw,  ///< RFC 1951, without header and checksum
    gzip  ///< RFC 1952, one or several members
  };

  /// Borrows the bytes, which must outlive the inflater. what: begins the messages of its errors, "NIfTI: the
  /// gzip data".
  Inflater(Format format, std::span<const std::byte> bytes, const char* what);
  ~Inflater();
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  /// Fills `out` with what comes next; gives how many bytes, fewer than asked only where the data end.
  /// Throws Error{invalid_image} for a damaged stream.
  size_t read(std::span<std::byte> out);
  /// Inflates `count` bytes and forgets them. Gives how many there were.
  size_t skip(size_t count);
  /// Whether the last member was read to its end, and its checksum, where it has one, was right.
  bool complete() const { return complete_; }

 private:
  struct Stream;

  void feed();
  bool start_next_member();

  const Format format_;
  const char* what_;
  std::span<const std::byte> rest_;  ///< not yet given to zlib
  std::unique_ptr<Stream> stream_;
  bool complete_ = false;
};

struct InflatedBytes {
  HeapBytes bytes;
  size_t size = 0;
};

/// What comes next, at most `most` bytes. Memory grows with what really arrives.
InflatedBytes inflate_up_to(Inflater& inflater, size_t most);

}  // namespace mii
