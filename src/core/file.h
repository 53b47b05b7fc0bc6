#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mii {

struct UnmapFile {
  size_t size = 0;
  void operator()(const std::byte* p) const;
};

/// A whole regular file, mapped read-only. Move-only.
class MappedFile {
 public:
  /// Throws Error{io} when the file cannot be opened, is not a regular file, or cannot be mapped.
  static MappedFile open(const std::filesystem::path& path);

  std::span<const std::byte> bytes() const { return {data_.get(), data_.get_deleter().size}; }

 private:
  std::unique_ptr<const std::byte[], UnmapFile> data_;
};

/// Reads a whole regular file. Throws Error{io} when it cannot be read, or is larger than max_bytes.
std::vector<std::byte> read_file(const std::filesystem::path& path, uint64_t max_bytes);
std::string read_text_file(const std::filesystem::path& path, uint64_t max_bytes);

/// The first bytes of a regular file, fewer of a shorter one. Throws Error{io} when it cannot be read.
std::vector<std::byte> read_start(const std::filesystem::path& path, size_t bytes);

/// Makes what was created, renamed or removed in a folder survive a loss of power. Throws Error{io}.
void sync_folder(const std::filesystem::path& folder);

/// Gives a complete file or folder its final name, so that after a loss of power there is either what had the
/// name before or the new file, whole. Throws Error{io}.
void rename_durably(const std::filesystem::path& from, const std::filesystem::path& to);

/// A file that appears under its name only when it is complete: it is written under a
/// temporary name, NAME.tmp-N, and commit() renames it. Destroyed without commit(), it leaves nothing behind;
/// what a killed program leaves is removed by the next one that writes NAME. Move-only.
class AtomicFile {
 public:
  /// Throws Error{io} at once when the folder cannot be written.
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(AtomicFile&&) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;

  /// Throw Error{io}, with the system's reason (a full disk, say).
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text.data(), text.size()))); }
  /// Flushes to the disk, gives the file its final name (see rename_durably) and closes it.
  void commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  std::FILE* file_ = nullptr;
};

/// Writes a whole file by AtomicFile. Throws Error{io}.
void write_file(const std::filesystem::path& path, std::span<const std::byte> bytes);
void write_file(const std::filesystem::path& path, std::string_view text);

}  // namespace mii
