#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

namespace mii {

/// A run of a file's bytes, which is received from its beginning to its end.
struct ByteRange {
  uint64_t begin = 0;
  uint64_t end = 0;  ///< UINT64_MAX: the file's end, wherever that is
  uint64_t at = 0;   ///< the next byte that is wanted

  bool complete() const { return at == end; }
};

/// What was received of a file, in ranges that are received at once. It outlives the process: how far each
/// range is stands behind the room for the file's own bytes, in 8 bytes each. A file that is one range has no
/// such notes: how long it is says enough. Move-only, for one thread.
class PartFile {
 public:
  /// Goes on with what is there, in the same ranges, or with the beginning of the file as one piece. What is
  /// neither is emptied. bytes: of the whole file; 0: unknown. Throws Error{io}.
  static PartFile open(std::filesystem::path path, uint64_t bytes, uint64_t range_bytes);
  ~PartFile();
  PartFile(PartFile&&) noexcept;
  PartFile& operator=(PartFile&&) = delete;

  const std::vector<ByteRange>& ranges() const { return ranges_; }
  uint64_t received() const;
  bool complete() const;

  /// Adds to what was received of a range, up to its end. Throws Error{io}, with the system's reason.
  void add(size_t range, std::span<const std::byte> bytes);
  /// The range ends where it is: so long is a file of unknown size.
  void end_here(size_t range) { ranges_[range].end = ranges_[range].at; }
  /// Forgets everything; the file is one range from now on. Throws Error{io}.
  void start_over();
  /// Leaves the file's own bytes alone on the disk. Throws Error{io}.
  void finish();

 private:
  PartFile(std::filesystem::path path, int descriptor, uint64_t bytes);
  void resize(uint64_t bytes);
  void write(const void* data, size_t size, uint64_t offset);
  void note(size_t range);
  bool has_notes() const { return ranges_.size() > 1; }
  void read_notes();
  [[noreturn]] void fail() const;

  std::filesystem::path path_;
  int descriptor_;
  uint64_t bytes_;
  std::vector<ByteRange> ranges_;
};

}  // namespace mii
