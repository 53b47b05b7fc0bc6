#include "core/folder.h"

#include <algorithm>
#include <system_error>

namespace mii {
namespace {

namespace fs = std::filesystem;

bool is_nothing(const std::error_code& error) {
  return error == std::errc::no_such_file_or_directory || error == std::errc::too_many_symbolic_link_levels;
}

// Adds what lies in one folder; the folders in it are added to `open`.
void list(const fs::path& folder, std::vector<fs::path>& open, FolderWalk& found) {
  const auto fail = [&](const fs::path& path, const std::error_code& error) {
    if (error && !is_nothing(error)) found.unreadable.push_back({path, error.message()});
  };
  std::error_code error;
  fs::directory_iterator it(folder, error);
  for (; !error && it != fs::directory_iterator(); it.increment(error)) {
    std::error_code unknown;
    if (!it->is_symlink(unknown) && it->is_directory(unknown))
      open.push_back(it->path());
    else if (it->is_regular_file(unknown))
      found.files.push_back(it->path());
    fail(it->path(), unknown);
  }
  fail(folder, error);
}

}  // namespace

FolderWalk walk_folder(const fs::path& folder) {
  FolderWalk found;
  std::vector<fs::path> open{folder};
  while (!open.empty()) {
    const fs::path next = std::move(open.back());
    open.pop_back();
    list(next, open, found);
  }
  std::ranges::sort(found.files);
  std::ranges::sort(found.unreadable, {}, &FolderWalk::Unreadable::path);
  return found;
}

}  // namespace mii
