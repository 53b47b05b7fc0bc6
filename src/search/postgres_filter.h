#pragma once

#include <string>

#include "search/filter.h"
#include "search/postgres.h"

namespace mii::search {

/// A filter as a condition in SQL that is true or false, never null, for the same items as meets(). Columns
/// and literals become values of sql. The items' table is to have id (text), attributes (jsonb: column to
/// text) and numbers (jsonb: column to number, of the id and the values that number_of() takes).
std::string condition_of(const Filter& filter, Sql& sql);

}  // namespace mii::search
