#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "search/collection.h"
#include "search/collection_map.h"

namespace mii::serve {

/// A collection that the service offers: a folder or a database. Safe to use from several threads.
class ServedCollection {
 public:
  /// place: a folder or a URL, as search::open_collection takes it. Throws as that does.
  explicit ServedCollection(std::string place);

  /// For everything that does not change it.
  search::Collection& reader() { return *reader_; }
  /// Opens it for writing while `use` runs, so that other processes may write between. The service's own
  /// writes wait for each other. Throws search::CollectionBusy when another process writes to a folder.
  void write(const std::function<void(search::Collection&)>& use);
  /// As CollectionMap::look; nullopt while it looks for somebody else, which may take seconds.
  std::optional<search::MapView> map(const search::MapOptions& options);

 private:
  const std::string place_;
  const std::unique_ptr<search::Collection> reader_;
  std::mutex writing_;
  std::mutex mapping_;
  search::CollectionMap map_;  // guarded by mapping_
};

/// Collections by the names that clients call them by.
class ServedCollections {
 public:
  using Shared = std::shared_ptr<ServedCollection>;

  /// Each folder in this one that is a collection, by its name. Throws Error{io} for a folder that cannot be
  /// listed, and as ServedCollection does; Error{invalid_argument} for more collections than a folder may
  /// have, or a name that is not UTF-8.
  static ServedCollections in_folder(const std::filesystem::path& folder);

  /// Throws Error{invalid_argument} for a name that is not UTF-8, or that there is already.
  void add(const std::string& name, Shared collection);

  /// Null when there is none of this name.
  Shared find(std::string_view name) const;
  const std::map<std::string, Shared, std::less<>>& all() const { return collections_; }

 private:
  std::map<std::string, Shared, std::less<>> collections_;
};

/// What --collection says: [NAME=]postgresql://..., whose name is otherwise that of the database.
struct NamedDatabase {
  std::string name;
  std::string url;

  /// Throws Error{invalid_argument} for anything else, without the URL, which may have a password.
  static NamedDatabase parse(const std::string& text);
};

}  // namespace mii::serve
