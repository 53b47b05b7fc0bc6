// All vectors of a database computed anew, beside the old ones.
#include "mii/error.h"
#include "search/checks.h"
#include "search/postgres_collection.h"

namespace mii::search {
namespace {

// Each of these tables has a temporary one beside it.
constexpr const char* kNewTables = "mii_new_";
constexpr const char* kMakeTables = R"(
  DROP TABLE IF EXISTS pg_temp.mii_new_columns, pg_temp.mii_new_items, pg_temp.mii_new_vectors,
    pg_temp.mii_new_thumbnails;
  CREATE TEMPORARY TABLE mii_new_columns AS SELECT number, name FROM mii_columns;
  CREATE TEMPORARY TABLE mii_new_items (LIKE mii_items);
  CREATE TEMPORARY TABLE mii_new_vectors (LIKE mii_vectors);
  CREATE TEMPORARY TABLE mii_new_thumbnails (LIKE mii_thumbnails);
)";
constexpr const char* kDropTables =
    "DROP TABLE IF EXISTS pg_temp.mii_new_columns, pg_temp.mii_new_items, pg_temp.mii_new_vectors, "
    "pg_temp.mii_new_thumbnails";
// Deleted, not truncated: whoever reads the old version goes on with it.
constexpr const char* kSwap = R"(
  DELETE FROM mii_typical;
  DELETE FROM mii_items;
  INSERT INTO mii_columns SELECT * FROM mii_new_columns ON CONFLICT DO NOTHING;
  INSERT INTO mii_items SELECT * FROM mii_new_items;
  INSERT INTO mii_vectors SELECT * FROM mii_new_vectors;
  INSERT INTO mii_thumbnails SELECT * FROM mii_new_thumbnails;
)";

}  // namespace

class PostgresCollection::PostgresRebuild final : public Rebuild {
 public:
  explicit PostgresRebuild(PostgresCollection& collection) : collection_(collection) {
    database().write([&] {
      begun_ = collection_.state(" FOR UPDATE");
      database().run_script(kMakeTables);
    });
  }
  PostgresRebuild(const PostgresRebuild&) = delete;
  PostgresRebuild& operator=(const PostgresRebuild&) = delete;
  ~PostgresRebuild() override {
    try {
      const std::lock_guard guard(collection_.mutex_);
      database().write([&] { database().run(kDropTables); });
    } catch (const std::exception&) {  // they go with the connection
    }
  }

  void add(std::span<const Item> items, const Matrix& vectors, const Identity& identity) override {
    const std::lock_guard guard(collection_.mutex_);
    expect_fitting({database().name(), dim_, identity_}, items, vectors, identity);
    if (items.empty()) return;
    const Matrix units = unit_vectors(items, vectors);
    const std::vector<Item> kept = without_empty_values(items);
    database().write([&] {
      collection_.insert({kept, units, begun_.next_number + static_cast<int64_t>(count_), begun_.version + 1},
                         kNewTables);
    });
    count_ += kept.size();
    dim_ = vectors.cols();
    if (!identity_) identity_ = identity;
  }

  void finish() override {
    const std::lock_guard guard(collection_.mutex_);
    if (count_ != begun_.items)
      throw Error(ErrorCode::invalid_argument, database().name() + ": " + std::to_string(count_) + " of " +
                                                   std::to_string(begun_.items) +
                                                   " vectors were computed anew");
    database().write([&] {
      const State now = collection_.state(" FOR UPDATE");
      if (now.version != begun_.version)
        throw Error(ErrorCode::io, database().name() + ": has changed from version " +
                                       std::to_string(begun_.version) + " to " + std::to_string(now.version) +
                                       " meanwhile; it stays as it is");
      if (now.has_index && dim_ != now.dim) database().run("DROP INDEX mii_vectors_hnsw");
      database().run_script(kSwap);
      Sql sql;
      sql.text = "UPDATE mii_state SET dim = " + std::to_string(dim_) +
                 ", identity = " + (identity_ ? sql.value(identity_->json()) : "NULL") +
                 ", version = version + 1, first_version = version + 1, removed = 0, next_number = "
                 "next_number + " +
                 std::to_string(count_);
      database().run(sql);
    });
  }

 private:
  Postgres& database() { return collection_.database_; }

  PostgresCollection& collection_;
  State begun_;
  size_t count_ = 0;
  size_t dim_ = 0;
  std::optional<Identity> identity_;
};

std::unique_ptr<Rebuild> PostgresCollection::rebuild() {
  const std::lock_guard guard(mutex_);
  return std::make_unique<PostgresRebuild>(*this);
}

}  // namespace mii::search
