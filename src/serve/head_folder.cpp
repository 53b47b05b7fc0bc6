#include "serve/head_folder.h"

#include "core/folder.h"
#include "heads/head_file.h"
#include "mii/error.h"

namespace mii::serve {
namespace {

constexpr size_t kMaxHeads = 1000;

}  // namespace

HeadFolder HeadFolder::read(const std::filesystem::path& folder) {
  const FolderWalk walked = walk_folder(folder);
  if (!walked.unreadable.empty())
    throw Error(ErrorCode::io,
                walked.unreadable.front().path.string() + ": " + walked.unreadable.front().reason);
  HeadFolder heads;
  for (const std::filesystem::path& file : walked.files) {
    if (file.parent_path() != folder || file.extension() != ".head") continue;
    if (heads.heads_.size() == kMaxHeads)
      throw Error(ErrorCode::invalid_argument,
                  folder.string() + ": more than " + std::to_string(kMaxHeads) + " heads");
    heads.heads_.emplace(file.stem().string(),
                         std::make_shared<const heads::FittedHead>(heads::read_head(file)));
  }
  return heads;
}

HeadFolder::Shared HeadFolder::find(std::string_view name) const {
  const auto found = heads_.find(name);
  return found == heads_.end() ? nullptr : found->second;
}

}  // namespace mii::serve
