#include "search/open.h"

#include "mii/error.h"
#include "search/folder_collection.h"
#include "search/postgres_collection.h"

namespace mii::search {

std::unique_ptr<Collection> open_collection(const std::string& name, Access access, int attempts) {
  if (is_postgres(name)) return std::make_unique<PostgresCollection>(name, access, attempts);
  return std::make_unique<FolderCollection>(name, access);
}

void create_collection(const std::string& name, DType precision) {
  if (!is_postgres(name)) return FolderCollection::create(name, precision);
  if (precision != DType::f32)
    throw Error(ErrorCode::invalid_argument,
                shown_name(name) + ": a database stores f32, not " + to_string(precision));
  PostgresCollection::create(name);
}

}  // namespace mii::search
