#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "search/folder_collection.h"

namespace mii::serve {

/// A collection that the service offers. Safe to use from several threads.
class ServedCollection {
 public:
  /// Throws as FolderCollection does.
  explicit ServedCollection(std::filesystem::path folder) : folder_(std::move(folder)), reader_(folder_) {}

  const std::filesystem::path& folder() const { return folder_; }
  /// For everything that does not change it.
  search::FolderCollection& reader() { return reader_; }
  /// Opens it for writing while `use` runs, so that other processes may write between. The service's own
  /// writes wait for each other. Throws CollectionBusy when another process writes.
  void write(const std::function<void(search::FolderCollection&)>& use);

 private:
  const std::filesystem::path folder_;
  search::FolderCollection reader_;
  std::mutex writing_;
};

/// The collections of --collections FOLDER: each folder in it that is one, by its name.
class CollectionFolder {
 public:
  using Shared = std::shared_ptr<ServedCollection>;

  /// No collections.
  CollectionFolder() = default;
  /// Throws Error{io} for a folder that cannot be listed, and as FolderCollection does;
  /// Error{invalid_argument} for more collections than a folder may have, or a name that is not UTF-8.
  static CollectionFolder read(const std::filesystem::path& folder);

  /// Null when there is none of this name.
  Shared find(std::string_view name) const;
  const std::map<std::string, Shared, std::less<>>& all() const { return collections_; }

 private:
  std::map<std::string, Shared, std::less<>> collections_;
};

}  // namespace mii::serve
