#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace mii::search {

/// A file of rows of equal length behind a header of 64 bytes. Rows are written at the end and never again
/// changed. How many of them count is known elsewhere: what a stopped writer has left behind them is ignored,
/// and overwritten. Move-only.
class RowFile {
 public:
  struct Layout {
    std::string kind;  ///< up to 8 letters: "f32", "int8", ...
    size_t dim = 0;
    size_t row_bytes = 0;
  };

  /// Makes an empty file, in place of one that is there. Throws Error{io}.
  static RowFile create(const std::filesystem::path& path, Layout layout);
  /// Throws Error{io} for a file that is not of this layout or shorter than `rows` rows.
  static RowFile open(const std::filesystem::path& path, Layout layout, uint64_t rows, bool writable);

  RowFile(RowFile&& other) noexcept;
  RowFile& operator=(RowFile&& other) noexcept;
  ~RowFile();

  /// The first `rows` rows, mapped. They must be there; what was returned before stays valid until a call for
  /// more rows than ever. Throws Error{io}.
  const std::byte* map(uint64_t rows);

  /// Rows that were read through the map and are not soon again: they no longer count as this process's
  /// memory.
  void release(uint64_t first, uint64_t count);

  /// Writes rows from number `first` on. They count for nothing before sync() has returned. Throws Error{io}.
  void write(uint64_t first, std::span<const std::byte> rows);
  void sync();

  /// CRC-32 of rows, read through the map.
  uint32_t checksum(uint64_t first, uint64_t count);

 private:
  RowFile() = default;
  void close();

  std::filesystem::path path_;
  Layout layout_;
  int fd_ = -1;
  std::byte* mapped_ = nullptr;
  size_t mapped_bytes_ = 0;
};

/// CRC-32 of zlib, of pieces one after another.
uint32_t crc32_of(std::span<const std::byte> bytes, uint32_t before = 0);
/// Of two pieces, from those of each.
uint32_t crc32_of_both(uint32_t first, uint32_t second, uint64_t second_bytes);

}  // namespace mii::search
