#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace mii {

/// An open file of weights, read piece by piece for as long as the model is used. It is read, never mapped:
/// a file that somebody makes shorter meanwhile gives an error here, where a mapping would end the process.
/// Move-only; safe to read from several threads.
class WeightsFile {
 public:
  /// Throws Error{io} when the file cannot be opened or is no regular file.
  static WeightsFile open(const std::filesystem::path& path);
  ~WeightsFile();
  WeightsFile(WeightsFile&& other) noexcept;
  WeightsFile& operator=(WeightsFile&&) = delete;

  uint64_t bytes() const { return stamp_.bytes; }

  /// Reads to.size() bytes from this offset. Throws Error{corrupt_weights} when the file is no longer the one
  /// that was opened (its size or its time of modification has changed), Error{io} when it cannot be read.
  void read(uint64_t offset, std::span<std::byte> to) const;

 private:
  struct Stamp {
    uint64_t bytes = 0;
    int64_t seconds = 0, nanoseconds = 0;  // of the last modification
    bool operator==(const Stamp&) const = default;
  };

  explicit WeightsFile(std::filesystem::path path) : path_(std::move(path)) {}
  Stamp stamp() const;
  void expect_unchanged() const;

  std::filesystem::path path_;
  int descriptor_ = -1;
  Stamp stamp_;
};

}  // namespace mii
