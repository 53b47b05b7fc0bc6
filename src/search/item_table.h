#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "search/collection.h"
#include "search/sqlite.h"

namespace mii::search {

/// What a folder's database says of its files of vectors.
struct TableState {
  DType precision = DType::f32;
  size_t dim = 0;  ///< 0: no vectors yet, and no files of them
  std::optional<Identity> identity;
  uint64_t version = 0;
  uint32_t rows = 0;  ///< that count, in every file of vectors
};

/// One change: rows that were written, with the checksums of their bytes in the three files.
struct Change {
  uint64_t version = 0;
  uint32_t first_row = 0;
  uint32_t rows = 0;
  uint32_t removed = 0;  ///< rows that this change removed
  uint32_t stored_sum = 0;
  uint32_t int8_sum = 0;
  uint32_t signs_sum = 0;
};

/// The items of a folder in SQLite. A row of the table is a row of the files of vectors; it never changes,
/// but for the version that removed it, and goes when the folder is compacted. Columns have numbers, so that
/// their names are in no statement. Not for several threads at once.
class ItemTable {
 public:
  static void create(const std::filesystem::path& path, DType precision, uint64_t version);
  /// Throws Error{io} for what is damaged; Error{unsupported} for a newer format.
  ItemTable(const std::filesystem::path& path, Database::Mode mode);

  Transaction begin(Transaction::Kind kind) { return {database_, kind}; }

  TableState state();
  void set_state(const TableState& state);

  std::vector<std::string> columns();
  /// Throws Error{invalid_argument} beyond the number of columns that a table may have.
  void add_columns(std::span<const Item> items);

  /// The row of an id that is not removed.
  std::optional<uint32_t> row_of(const std::string& id);
  void insert(uint32_t row, const Item& item);
  /// Of an id that is there. Returns false for one that is not.
  bool remove(const std::string& id, uint64_t version);
  size_t removed_rows();
  /// Rows that were removed after one version, and not after another.
  void for_each_removed(uint64_t after, uint64_t until, const std::function<void(uint32_t)>& call);
  /// Throws Error{io} for a row that is not there.
  Item item(uint32_t row);
  std::string id(uint32_t row);
  /// Rows that are not removed, in the order of ids.
  std::vector<uint32_t> page(const std::string& after, size_t limit);
  /// Rows from `first` on that are not removed.
  std::vector<uint32_t> rows_from(uint32_t first, size_t limit);
  /// Appends the values of rows to a column that has those before `first`. "id" is a column too. Throws
  /// Error{invalid_argument} when there is no such column.
  void load_column(const std::string& name, uint32_t first, uint32_t end, Column& column,
                   std::map<std::string, uint32_t, std::less<>>& codes);

  void add_change(const Change& change);
  std::vector<Change> changes();
  /// How many rows there were; nullopt for a version before the first that is kept, or after the last.
  std::optional<uint32_t> rows_at(uint64_t version);

  std::optional<Typical> typical();
  void set_typical(const Typical& typical);

  /// What is wrong with the database itself.
  std::vector<std::string> faults();
  /// Copies the database as it is now. Throws Error{io} when `to` exists.
  void copy_to(const std::filesystem::path& to);

 private:
  const std::vector<std::string>& known_columns();
  int number_of_column(const std::string& name);
  void prepare_items();

  Database database_;
  std::vector<std::string> columns_;
  std::optional<Statement> count_columns_, insert_, select_, select_id_, find_, remove_, insert_thumbnail_,
      select_thumbnail_;
};

}  // namespace mii::search
