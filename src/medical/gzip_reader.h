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

/// Inflates a gzip stream of one or several members from memory, in parts of the caller's choice, so that
/// nobody pays for what a bomb would unpack to. Bytes behind the last member are ignored. Not copyable.
class GzipReader {
 public:
  /// Borrows the bytes, which must outlive the reader.
  explicit GzipReader(std::span<const std::byte> bytes);
  ~GzipReader();
  GzipReader(const GzipReader&) = delete;
  GzipReader& operator=(const GzipReader&) = delete;

  /// Fills `out` with what comes next; gives how many bytes, fewer than asked only where the data end.
  /// Throws Error{invalid_image} for a damaged stream.
  size_t read(std::span<std::byte> out);
  /// Inflates `count` bytes and forgets them. Gives how many there were.
  size_t skip(size_t count);
  /// Whether the last member was read up to its checksum, and the checksum was right.
  bool complete() const { return complete_; }

 private:
  struct Stream;

  void feed();
  bool start_next_member();

  std::span<const std::byte> rest_;  ///< not yet given to zlib
  std::unique_ptr<Stream> stream_;
  bool complete_ = false;
};

/// Bytes [offset, offset + size) of what the stream unpacks to. Memory grows with what really arrives. Reads
/// on to the checksum if that is near. Throws Error{invalid_image} for a stream that is damaged or ends
/// early.
HeapBytes gunzip_range(std::span<const std::byte> bytes, size_t offset, size_t size);

}  // namespace mii
