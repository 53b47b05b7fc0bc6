#pragma once

#include <memory>
#include <string>

#include "search/collection.h"
#include "search/postgres.h"

namespace mii::search {

/// Opens a collection by its name: postgresql://... is a database, anything else a folder. attempts: as
/// Postgres has them.
std::unique_ptr<Collection> open_collection(const std::string& name, Access access = Access::read,
                                            int attempts = kManyAttempts);

/// Makes an empty one. A database stores f32 only.
void create_collection(const std::string& name, DType precision = DType::f32);

}  // namespace mii::search
