#include "serve/collection_folder.h"

#include "mii/error.h"
#include "serve/http.h"

namespace mii::serve {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxCollections = 1000;

}  // namespace

void ServedCollection::write(const std::function<void(search::FolderCollection&)>& use) {
  const std::lock_guard lock(writing_);
  search::FolderCollection writer(folder_, search::FolderCollection::Access::write);
  use(writer);
}

CollectionFolder CollectionFolder::read(const fs::path& folder) {
  std::error_code error;
  fs::directory_iterator entries(folder, error);
  CollectionFolder found;
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    const fs::path path = entries->path();
    if (!search::FolderCollection::is_in(path)) continue;
    if (!is_plain_utf8(path.filename().string()))
      throw Error(ErrorCode::invalid_argument, path.string() + ": a collection's name must be UTF-8");
    if (found.collections_.size() == kMaxCollections)
      throw Error(ErrorCode::invalid_argument,
                  folder.string() + ": more than " + std::to_string(kMaxCollections) + " collections");
    found.collections_.emplace(path.filename().string(), std::make_shared<ServedCollection>(path));
  }
  if (error) throw Error(ErrorCode::io, folder.string() + ": cannot be listed: " + error.message());
  return found;
}

CollectionFolder::Shared CollectionFolder::find(std::string_view name) const {
  const auto found = collections_.find(name);
  return found == collections_.end() ? nullptr : found->second;
}

}  // namespace mii::serve
