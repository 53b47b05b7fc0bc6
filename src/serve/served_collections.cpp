#include "serve/served_collections.h"

#include <future>

#include "mii/error.h"
#include "search/folder_collection.h"
#include "search/open.h"
#include "serve/http.h"
#include "serve/refuse.h"

namespace mii::serve {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxCollections = 1000;
// A request does not wait long for a database that is away.
constexpr int kAttempts = 2;

}  // namespace

ServedCollection::ServedCollection(std::string place)
    : place_(std::move(place)),
      reader_(search::open_collection(place_, search::Access::read, kAttempts)),
      map_(*reader_) {}

void ServedCollection::write(const std::function<void(search::Collection&)>& use) {
  const std::lock_guard lock(writing_);
  const auto writer = search::open_collection(place_, search::Access::write, kAttempts);
  use(*writer);
}

std::optional<search::MapView> ServedCollection::map(const search::MapOptions& options) {
  const std::unique_lock lock(mapping_, std::try_to_lock);
  if (!lock) return std::nullopt;
  // In a thread of its own, with which its team of OpenMP threads ends.
  return std::async(std::launch::async, [&] { return map_.look(options); }).get();
}

ServedCollections ServedCollections::in_folder(const fs::path& folder) {
  std::error_code error;
  fs::directory_iterator entries(folder, error);
  ServedCollections found;
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    const fs::path path = entries->path();
    if (!search::FolderCollection::is_in(path)) continue;
    if (found.collections_.size() == kMaxCollections)
      refuse(folder.string() + ": more than " + std::to_string(kMaxCollections) + " collections");
    found.add(path.filename().string(), std::make_shared<ServedCollection>(path.string()));
  }
  if (error) throw Error(ErrorCode::io, folder.string() + ": cannot be listed: " + error.message());
  return found;
}

void ServedCollections::add(const std::string& name, Shared collection) {
  if (!is_plain_utf8(name)) refuse("a collection's name must be UTF-8: '" + name + "'");
  if (!collections_.emplace(name, std::move(collection)).second)
    refuse("two collections are named '" + name + "'");
}

ServedCollections::Shared ServedCollections::find(std::string_view name) const {
  const auto found = collections_.find(name);
  return found == collections_.end() ? nullptr : found->second;
}

NamedDatabase NamedDatabase::parse(const std::string& text) {
  const auto name_of = [](const std::string& url) {
    const std::string shown = search::shown_name(url);
    return shown.substr(shown.rfind('/') + 1);
  };
  NamedDatabase database{.name = {}, .url = text};
  if (search::is_postgres(text)) {
    database.name = name_of(text);
  } else if (const size_t equals = text.find('='); equals != std::string::npos) {
    database = {text.substr(0, equals), text.substr(equals + 1)};
  }
  if (database.name.empty() || !search::is_postgres(database.url))
    refuse("--collection: expected [NAME=]postgresql://...; folders are offered by --collections");
  return database;
}

}  // namespace mii::serve
