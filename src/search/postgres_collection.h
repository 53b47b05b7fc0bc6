#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "search/collection.h"
#include "search/postgres.h"

namespace mii::search {

/// A collection in a PostgreSQL database with pgvector 0.8 or newer: the tables mii_* of the first schema of
/// the connection's search_path; docs/search.md describes them. Any number of processes read and write; those
/// that write wait for each other. Vectors are stored in f32. Besides what Collection says, methods throw
/// Error{invalid_argument} for texts with a zero byte.
class PostgresCollection : public Collection {
 public:
  /// Makes an empty collection. Throws Error{io} when there is one, when the database is not in UTF-8, or
  /// has no pgvector.
  static void create(const std::string& url);

  /// Throws as Postgres does, Error{io} when there is no collection; Error{unsupported} for one of a newer
  /// version of this program, and for reading one of an older version: opened for writing, it is migrated.
  explicit PostgresCollection(std::string url, Access access = Access::read, int attempts = kManyAttempts);

  CollectionInfo info() override;
  AddCounts add(std::span<const Item> items, const Matrix& vectors, const Identity& identity) override;
  size_t remove(std::span<const std::string> ids) override;
  std::vector<std::optional<Item>> find(std::span<const std::string> ids) override;
  std::vector<Item> page(const std::string& after, size_t limit) override;
  Matrix vectors(std::span<const std::string> ids) override;
  std::vector<Answer> search(const Matrix& queries, const SearchOptions& options) override;
  Selection select(const SelectOptions& options) override;
  void compact() override;
  std::vector<std::string> verify() override;
  std::optional<Typical> typical() override;
  void measure_typical(size_t sample) override;
  /// Needs no right but INSERT on mii_audit.
  void record(const AuditEntry& search) override;
  std::vector<AuditEntry> recorded() override;
  /// Its vectors lie in temporary tables meanwhile: a lost connection ends it. Others may change the
  /// collection, and then it cannot be finished. Where vectors get another length, the index of Stage::hnsw
  /// goes.
  std::unique_ptr<Rebuild> rebuild() override;

  /// Makes the index of Stage::hnsw, which later changes keep. Others wait with their changes meanwhile.
  /// Throws Error{unsupported} for vectors of more than 4000 values.
  void create_index();

 private:
  static constexpr const char* kTables = "mii_";  // what their names begin with

  /// What a transaction sees of the collection as a whole.
  struct State {
    size_t dim = 0;
    std::optional<Identity> identity;
    uint64_t version = 0;
    uint64_t first_version = 0;
    int64_t next_number = 0;
    size_t items = 0;
    size_t removed = 0;
    bool has_index = false;
  };
  struct Candidates;
  struct Ask {
    Stage stage;
    size_t wanted;
    size_t searched;  ///< items that may be hits
  };
  class PostgresRebuild;

  void migrate();
  State state(const char* lock = "");
  std::vector<std::string> columns(const std::string& tables = kTables);
  Sql live_items(const State& state, const SearchOptions& options);
  void expect_columns_of(const SearchOptions& options, const std::string& column);
  size_t count(const State& state, const SearchOptions& options);
  Stage stage_of(const State& state, const SearchOptions& options, size_t searched);
  Candidates candidates(const State& state, std::span<const float> query, const SearchOptions& options,
                        const Ask& ask);
  Answer search_one(const State& state, std::span<const float> query, const SearchOptions& options,
                    size_t searched);
  std::vector<Item> items_where(Sql sql, const std::string& condition);
  size_t mark_removed(std::span<const std::string> ids, uint64_t version);
  /// What is appended, and from which number and version on.
  struct Rows {
    std::span<const Item> items;
    const Matrix& vectors;
    int64_t first_number = 0;
    uint64_t version = 0;
  };
  void insert(const Rows& rows, const std::string& tables = kTables);

  std::mutex mutex_;
  Postgres database_;
};

}  // namespace mii::search
