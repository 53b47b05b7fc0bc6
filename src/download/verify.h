#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace mii {

/// A file of a model folder beside the published one.
struct VerifiedFile {
  enum class State { right, differs, missing };

  std::string path;  ///< below the folder
  State state = State::missing;
  std::string sha256;    ///< of what is there; empty where nothing is
  std::string expected;  ///< of the published file
};

/// "right", "differs", "missing"
const char* to_string(VerifiedFile::State state);

/// Compares all files of the published model by SHA-256. Throws Error{io} for a file that cannot be read, or
/// where there is no folder; Error{cancelled} when `cancelled`, asked now and then, says so.
std::vector<VerifiedFile> verify_files(const std::filesystem::path& folder,
                                       const std::function<bool()>& cancelled = {});

}  // namespace mii
