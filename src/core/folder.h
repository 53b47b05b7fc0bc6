#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace mii {

/// What lies in a folder and in the folders below it.
struct FolderWalk {
  struct Unreadable {
    std::filesystem::path path;
    std::string reason;
  };
  std::vector<std::filesystem::path> files;  ///< regular ones and links to them, by path
  std::vector<Unreadable> unreadable;        ///< folders that could not be listed, whole or in part
};

/// Walks a folder. Links to folders are not followed, so that there are no circles. Sockets, devices, FIFOs,
/// links to nothing and what vanishes meanwhile are passed over. Throws nothing for what it finds.
FolderWalk walk_folder(const std::filesystem::path& folder);

}  // namespace mii
