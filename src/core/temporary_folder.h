#pragma once

#include <filesystem>

namespace mii {

/// A folder of one's own among the system's temporary ones, which nobody else may look into. It goes, with
/// all that is in it, when this object does.
class TemporaryFolder {
 public:
  /// Throws Error{io} when it cannot be made.
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace mii
