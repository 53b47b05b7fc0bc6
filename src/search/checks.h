#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "search/collection.h"

// What every kind of collection expects of what it is given. All throw Error{invalid_argument}.

namespace mii::search {

/// What a collection holds already. name: what messages call it.
struct Holding {
  std::string name;
  size_t dim = 0;
  std::optional<Identity> identity;
};

/// Of Collection::add, except for the values of the vectors.
void expect_fitting(const Holding& holding, std::span<const Item> items, const Matrix& vectors,
                    const Identity& identity);

/// The vectors of items, each of length 1. Throws for those that are not finite or zero.
Matrix unit_vectors(std::span<const Item> items, const Matrix& vectors);

std::vector<Item> without_empty_values(std::span<const Item> items);

/// Of Collection::search.
void expect_queries(const std::string& name, size_t dim, const Matrix& queries, const SearchOptions& options);

/// Says that there is no such column, and which there are.
[[noreturn]] void refuse_column(const std::string& column, const std::vector<std::string>& columns);

/// That a collection may have so many columns.
void expect_columns(const std::string& name, size_t columns);

}  // namespace mii::search
