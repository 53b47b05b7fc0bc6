#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "mii/error.h"
#include "search/folder_collection.h"
#include "search/open.h"
#include "search/postgres_collection.h"
#include "vectors.h"

// For tests of collections of every kind. A database is there when run_with_postgres.py runs the tests.

namespace mii::search {

constexpr size_t kDim = 24;

inline Identity identity(const std::string& weights = "w") {
  return {weights, "c", "t", "f32", "profile auto", "0.1.0"};
}

inline Item item(const std::string& id, std::vector<Attribute> attributes = {}) {
  return {.id = id, .attributes = std::move(attributes)};
}

template <typename Call>
std::string error_of(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

inline std::vector<std::string> ids_of(const Answer& answer) {
  std::vector<std::string> ids;
  for (const Hit& hit : answer.hits) ids.push_back(hit.item.id);
  return ids;
}

inline Matrix rows_of(const Matrix& matrix, size_t first, size_t count) {
  Matrix rows(count, matrix.cols());
  for (size_t i = 0; i < count; ++i) std::ranges::copy(matrix.row(first + i), rows.row(i).begin());
  return rows;
}
inline Matrix row_of(const Matrix& matrix, size_t row) { return rows_of(matrix, row, 1); }

inline std::string name_of(size_t n) {
  const std::string digits = std::to_string(n);
  return std::string(6 - digits.size(), '0') + digits;
}

// Items "000000", "000001", ... with the rows of some vectors.
inline void fill(Collection& collection, const Matrix& vectors, size_t batch = 1000) {
  for (size_t first = 0; first < vectors.rows(); first += batch) {
    const size_t count = std::min(batch, vectors.rows() - first);
    std::vector<Item> items;
    Matrix part(count, vectors.cols());
    for (size_t i = 0; i < count; ++i) {
      const size_t n = first + i;
      items.push_back(item(name_of(n), {{"site", n % 3 == 0 ? "A" : "B"},
                                        {"age", std::to_string(n % 100)},
                                        {"patient", std::string("p").append(std::to_string(n / 4))}}));
      std::ranges::copy(vectors.row(n), part.row(i).begin());
    }
    collection.add(items, part, identity());
  }
}

inline const char* postgres_url() { return std::getenv("MII_TEST_POSTGRES"); }

/// A schema of its own in the server of the tests.
class PostgresSchema {
 public:
  explicit PostgresSchema(std::string name) : name_(std::move(name)) {
    database_.write([&] {
      database_.run("CREATE EXTENSION IF NOT EXISTS vector SCHEMA public");
      database_.run("DROP SCHEMA IF EXISTS " + name_ + " CASCADE");
      database_.run("CREATE SCHEMA " + name_);
    });
  }
  std::string url() const {
    return std::string(postgres_url()) + "?options=-csearch_path%3D" + name_ + ",public";
  }

 private:
  Postgres database_{postgres_url()};
  std::string name_;
};

}  // namespace mii::search
