#include "search/item_table.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "mii/error.h"
#include "search/checks.h"
#include "search/codes.h"
#include "search/row_file.h"

namespace mii::search {
namespace {

constexpr int64_t kFormat = 1;
constexpr size_t kMaxFaults = 20;
// Before the columns a1, a2, ... of the items' values.
constexpr int kFixedColumns = 5;  // row, id, removed, state, checksum

std::string column_text(size_t number) { return std::string("a").append(std::to_string(number)); }

uint32_t add_text(std::string_view text, uint32_t sum) {
  // With its length, so that the borders count.
  const uint64_t size = text.size();
  sum = crc32_of(std::as_bytes(std::span(&size, 1)), sum);
  return crc32_of(std::as_bytes(std::span(text)), sum);
}

uint32_t checksum_of(const Item& item) {
  uint32_t sum = add_text(item.state, add_text(item.id, 0));
  std::vector<Attribute> attributes = item.attributes;
  std::ranges::sort(attributes);
  for (const Attribute& attribute : attributes)
    sum = add_text(attribute.value, add_text(attribute.column, sum));
  return crc32_of(item.thumbnail, sum);
}

uint32_t checksum_of(const TableState& state, const std::string& identity) {
  const std::string text = std::to_string(static_cast<int>(state.precision)) + " " +
                           std::to_string(state.dim) + " " + std::to_string(state.version) + " " +
                           std::to_string(state.rows) + " " + identity;
  return add_text(text, 0);
}

}  // namespace

void ItemTable::create(const std::filesystem::path& path, DType precision, uint64_t version) {
  Database database(path, Database::Mode::create);
  database.run("PRAGMA journal_mode = wal");
  database.run(
      "CREATE TABLE state (one INTEGER PRIMARY KEY CHECK (one = 1), format INTEGER, precision INTEGER, dim "
      "INTEGER, "
      "identity TEXT, version INTEGER, rows INTEGER, checksum INTEGER)");
  database.run(
      "CREATE TABLE changes (number INTEGER PRIMARY KEY, version INTEGER, first_row INTEGER, rows INTEGER, "
      "removed INTEGER, "
      "stored_sum INTEGER, int8_sum INTEGER, signs_sum INTEGER)");
  database.run("CREATE TABLE columns (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)");
  database.run(
      "CREATE TABLE items (row INTEGER PRIMARY KEY, id TEXT NOT NULL, removed INTEGER, state TEXT, "
      "checksum INTEGER)");
  database.run("CREATE UNIQUE INDEX item_of_id ON items (id) WHERE removed IS NULL");
  database.run("CREATE INDEX removed_items ON items (removed) WHERE removed IS NOT NULL");
  database.run("CREATE TABLE thumbnails (row INTEGER PRIMARY KEY, jpeg BLOB)");
  database.run(
      "CREATE TABLE typical (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER, nearest BLOB, "
      "checksum INTEGER)");
  database.run("INSERT INTO state (one, format) VALUES (1, " + std::to_string(kFormat) + ")");
  ItemTable table(path, Database::Mode::write);
  table.set_state({.precision = precision, .version = version});
  table.add_change({.version = version});
}

ItemTable::ItemTable(const std::filesystem::path& path, Database::Mode mode) : database_(path, mode) {
  if (const int64_t format = database_.integer("SELECT format FROM state"); format > kFormat)
    throw Error(ErrorCode::unsupported, path.string() + ": has format " + std::to_string(format) +
                                            " of a newer version of this program, which reads " +
                                            std::to_string(kFormat));
}

TableState ItemTable::state() {
  Statement select =
      database_.prepare("SELECT precision, dim, identity, version, rows, checksum FROM state WHERE one = 1");
  const bool there = select.step();
  const std::string identity = there ? select.text(2) : "";
  const int64_t precision = there ? select.integer(0) : -1;
  const int64_t dim = there ? select.integer(1) : -1;
  const int64_t rows = there ? select.integer(4) : -1;
  TableState state{static_cast<DType>(precision), static_cast<size_t>(dim), std::nullopt,
                   static_cast<uint64_t>(there ? select.integer(3) : 0), static_cast<uint32_t>(rows)};
  const bool right =
      there && (precision == static_cast<int>(DType::f32) || precision == static_cast<int>(DType::bf16)) &&
      dim >= 0 && dim <= static_cast<int64_t>(kMaxDim) && rows >= 0 &&
      rows <= std::numeric_limits<uint32_t>::max() && (rows == 0 || dim > 0) &&
      checksum_of(state, identity) == static_cast<uint32_t>(select.integer(5));
  if (!right) throw Error(ErrorCode::io, database_.path() + ": its state is damaged");
  if (!identity.empty()) state.identity = Identity::parse(identity);
  return state;
}

void ItemTable::set_state(const TableState& state) {
  const std::string identity = state.identity ? state.identity->json() : "";
  database_
      .prepare("UPDATE state SET precision = ?, dim = ?, identity = ?, version = ?, rows = ?, checksum = ?")
      .bind(1, static_cast<int64_t>(state.precision))
      .bind(2, static_cast<int64_t>(state.dim))
      .bind(3, identity)
      .bind(4, static_cast<int64_t>(state.version))
      .bind(5, int64_t{state.rows})
      .bind(6, int64_t{checksum_of(state, identity)})
      .run();
}

std::vector<std::string> ItemTable::columns() {
  std::vector<std::string> names;
  Statement select = database_.prepare("SELECT number, name FROM columns ORDER BY number");
  while (select.step()) {
    if (select.integer(0) != static_cast<int64_t>(names.size() + 1))
      throw Error(ErrorCode::io, database_.path() + ": its columns are damaged");
    names.push_back(select.text(1));
  }
  return names;
}

const std::vector<std::string>& ItemTable::known_columns() {
  if (!count_columns_) count_columns_ = database_.prepare("SELECT count(*) FROM columns");
  const auto count = static_cast<size_t>(count_columns_->step() ? count_columns_->integer(0) : 0);
  count_columns_->reset();
  if (count != columns_.size()) {
    columns_ = columns();
    insert_.reset();
    select_.reset();
  }
  return columns_;
}

void ItemTable::add_columns(std::span<const Item> items) {
  std::vector<std::string> names = known_columns();
  const size_t before = names.size();
  for (const Item& item : items)
    for (const Attribute& attribute : item.attributes)
      if (std::ranges::find(names, attribute.column) == names.end()) names.push_back(attribute.column);
  expect_columns(database_.path(), names.size());
  for (size_t i = before; i < names.size(); ++i) {
    database_.run("ALTER TABLE items ADD COLUMN " + column_text(i + 1) + " TEXT");
    database_.prepare("INSERT INTO columns (number, name) VALUES (?, ?)")
        .bind(1, static_cast<int64_t>(i + 1))
        .bind(2, names[i])
        .run();
  }
}

void ItemTable::prepare_items() {
  known_columns();
  if (insert_) return;
  std::string names, places;
  for (size_t i = 0; i < columns_.size(); ++i) {
    names += ", " + column_text(i + 1);
    places += ", ?";
  }
  insert_ = database_.prepare("INSERT INTO items (row, id, removed, state, checksum" + names +
                              ") VALUES (?, ?, NULL, ?, ?" + places + ")");
  select_ =
      database_.prepare("SELECT row, id, removed, state, checksum" + names + " FROM items WHERE row = ?");
}

std::optional<uint32_t> ItemTable::row_of(const std::string& id) {
  if (!find_) find_ = database_.prepare("SELECT row FROM items WHERE id = ? AND removed IS NULL");
  find_->bind(1, id);
  if (!find_->step()) return std::nullopt;
  const int64_t row = find_->integer(0);
  find_->reset();
  return static_cast<uint32_t>(row);
}

void ItemTable::insert(uint32_t row, const Item& item) {
  prepare_items();
  // The first four parameters are row, id, state and checksum.
  for (size_t i = 0; i < columns_.size(); ++i) insert_->bind_null(static_cast<int>(i) + kFixedColumns);
  for (const Attribute& attribute : item.attributes)
    insert_->bind(number_of_column(attribute.column) - 1 + kFixedColumns, attribute.value);
  insert_->bind(1, int64_t{row})
      .bind(2, item.id)
      .bind(3, item.state)
      .bind(4, int64_t{checksum_of(item)})
      .run();
  if (item.thumbnail.empty()) return;
  if (!insert_thumbnail_)
    insert_thumbnail_ = database_.prepare("INSERT OR REPLACE INTO thumbnails (row, jpeg) VALUES (?, ?)");
  insert_thumbnail_->bind(1, int64_t{row}).bind(2, std::span<const std::byte>(item.thumbnail)).run();
}

int ItemTable::number_of_column(const std::string& name) {
  return static_cast<int>(std::ranges::find(columns_, name) - columns_.begin()) + 1;
}

bool ItemTable::remove(const std::string& id, uint64_t version) {
  const std::optional<uint32_t> row = row_of(id);
  if (!row) return false;
  if (!remove_) remove_ = database_.prepare("UPDATE items SET removed = ? WHERE row = ?");
  remove_->bind(1, static_cast<int64_t>(version)).bind(2, int64_t{*row}).run();
  return true;
}

size_t ItemTable::removed_rows() {
  return static_cast<size_t>(database_.integer("SELECT count(*) FROM items WHERE removed IS NOT NULL"));
}

void ItemTable::for_each_removed(uint64_t after, uint64_t until, const std::function<void(uint32_t)>& call) {
  Statement select = database_.prepare("SELECT row FROM items WHERE removed > ? AND removed <= ?");
  select.bind(1, static_cast<int64_t>(after)).bind(2, static_cast<int64_t>(until));
  while (select.step()) call(static_cast<uint32_t>(select.integer(0)));
}

Item ItemTable::item(uint32_t row) {
  prepare_items();
  select_->bind(1, int64_t{row});
  if (!select_->step())
    throw Error(ErrorCode::io, database_.path() + ": has no item for row " + std::to_string(row));
  Item item{.id = select_->text(1), .state = select_->text(3)};
  for (size_t i = 0; i < columns_.size(); ++i)
    if (std::string value = select_->text(static_cast<int>(i) + kFixedColumns); !value.empty())
      item.attributes.push_back({columns_[i], std::move(value)});
  select_->reset();
  if (!select_thumbnail_) select_thumbnail_ = database_.prepare("SELECT jpeg FROM thumbnails WHERE row = ?");
  select_thumbnail_->bind(1, int64_t{row});
  if (select_thumbnail_->step()) item.thumbnail = select_thumbnail_->blob(0);
  select_thumbnail_->reset();
  return item;
}

std::string ItemTable::id(uint32_t row) {
  if (!select_id_) select_id_ = database_.prepare("SELECT id FROM items WHERE row = ?");
  select_id_->bind(1, int64_t{row});
  std::string id = select_id_->step() ? select_id_->text(0) : "";
  select_id_->reset();
  return id;
}

std::vector<uint32_t> ItemTable::page(const std::string& after, size_t limit) {
  Statement select =
      database_.prepare("SELECT row FROM items WHERE id > ? AND removed IS NULL ORDER BY id LIMIT ?");
  select.bind(1, after).bind(2, static_cast<int64_t>(limit));
  std::vector<uint32_t> rows;
  while (select.step()) rows.push_back(static_cast<uint32_t>(select.integer(0)));
  return rows;
}

std::vector<uint32_t> ItemTable::rows_from(uint32_t first, size_t limit) {
  Statement select =
      database_.prepare("SELECT row FROM items WHERE row >= ? AND removed IS NULL ORDER BY row LIMIT ?");
  select.bind(1, int64_t{first}).bind(2, static_cast<int64_t>(limit));
  std::vector<uint32_t> rows;
  while (select.step()) rows.push_back(static_cast<uint32_t>(select.integer(0)));
  return rows;
}

void ItemTable::load_column(const std::string& name, uint32_t first, uint32_t end, Column& column,
                            std::map<std::string, uint32_t, std::less<>>& codes) {
  known_columns();
  const int number = number_of_column(name);
  if (name != "id" && number > static_cast<int>(columns_.size())) refuse_column(name, columns_);
  column.codes.resize(end, 0);
  Statement select = database_.prepare(
      "SELECT row, " + (name == "id" ? std::string("id") : column_text(static_cast<size_t>(number))) +
      " FROM items WHERE row >= ? AND row < ?");
  select.bind(1, int64_t{first}).bind(2, int64_t{end});
  while (select.step()) {
    const std::string value = select.text(1);
    if (value.empty()) continue;
    const auto [known, is_new] = codes.try_emplace(value, static_cast<uint32_t>(column.values.size() + 1));
    if (is_new) column.values.push_back(value);
    column.codes[static_cast<size_t>(select.integer(0))] = known->second;
  }
}

void ItemTable::add_change(const Change& change) {
  database_
      .prepare(
          "INSERT INTO changes (version, first_row, rows, removed, stored_sum, int8_sum, signs_sum) "
          "VALUES (?, ?, ?, ?, ?, ?, ?)")
      .bind(1, static_cast<int64_t>(change.version))
      .bind(2, int64_t{change.first_row})
      .bind(3, int64_t{change.rows})
      .bind(4, int64_t{change.removed})
      .bind(5, int64_t{change.stored_sum})
      .bind(6, int64_t{change.int8_sum})
      .bind(7, int64_t{change.signs_sum})
      .run();
}

std::vector<Change> ItemTable::changes() {
  Statement select = database_.prepare(
      "SELECT version, first_row, rows, removed, stored_sum, int8_sum, signs_sum FROM changes ORDER BY "
      "number");
  std::vector<Change> changes;
  const auto number = [&](int column) { return static_cast<uint32_t>(select.integer(column)); };
  while (select.step())
    changes.push_back({static_cast<uint64_t>(select.integer(0)), number(1), number(2), number(3), number(4),
                       number(5), number(6)});
  return changes;
}

std::optional<uint32_t> ItemTable::rows_at(uint64_t version) {
  Statement select = database_.prepare("SELECT max(first_row + rows) FROM changes WHERE version = ?");
  select.bind(1, static_cast<int64_t>(version));
  if (!select.step() || select.is_null(0)) return std::nullopt;
  return static_cast<uint32_t>(select.integer(0));
}

std::optional<Typical> ItemTable::typical() {
  Statement select = database_.prepare("SELECT version, nearest, checksum FROM typical");
  if (!select.step()) return std::nullopt;
  Typical typical{.version = static_cast<uint64_t>(select.integer(0))};
  const std::vector<std::byte> bytes = select.blob(1);
  if (crc32_of(bytes) != static_cast<uint32_t>(select.integer(2)))
    throw Error(ErrorCode::io, database_.path() + ": its table 'typical' is damaged");
  typical.nearest.resize(bytes.size() / sizeof(float));
  if (!bytes.empty())
    std::memcpy(typical.nearest.data(), bytes.data(), typical.nearest.size() * sizeof(float));
  return typical;
}

void ItemTable::set_typical(const Typical& typical) {
  database_.prepare("INSERT OR REPLACE INTO typical (one, version, nearest, checksum) VALUES (1, ?, ?, ?)")
      .bind(1, static_cast<int64_t>(typical.version))
      .bind(2, std::as_bytes(std::span(typical.nearest)))
      .bind(3, int64_t{crc32_of(std::as_bytes(std::span(typical.nearest)))})
      .run();
}

std::vector<std::string> ItemTable::faults() {
  std::vector<std::string> faults;
  const auto add = [&](const std::string& fault) {
    if (faults.size() < kMaxFaults) faults.push_back(database_.path() + ": " + fault);
  };
  Statement check = database_.prepare("PRAGMA integrity_check(10)");
  while (check.step())
    if (check.text(0) != "ok") add(check.text(0));
  if (!faults.empty()) return faults;

  const TableState now = state();
  uint32_t rows = 0;
  std::map<uint64_t, uint32_t> removed;
  for (const Change& change : changes()) {
    if (change.first_row != rows)
      add("the rows of version " + std::to_string(change.version) + " do not follow");
    rows = change.first_row + change.rows;
    if (change.removed > 0) removed[change.version] = change.removed;
  }
  if (rows != now.rows) add("has " + std::to_string(now.rows) + " rows, its changes " + std::to_string(rows));

  Statement counts =
      database_.prepare("SELECT removed, count(*) FROM items WHERE removed IS NOT NULL GROUP BY removed");
  while (counts.step()) {
    const auto version = static_cast<uint64_t>(counts.integer(0));
    if (removed[version] != counts.integer(1)) add("wrong removals in version " + std::to_string(version));
    removed.erase(version);
  }
  for (const auto& [version, count] : removed)
    add("removals are missing in version " + std::to_string(version));

  try {
    typical();
  } catch (const Error& error) {
    add(error.what());
  }
  prepare_items();
  Statement items = database_.prepare("SELECT row, checksum FROM items ORDER BY row");
  for (uint32_t row = 0;; ++row) {
    if (!items.step()) {
      if (row != now.rows)
        add("has items for " + std::to_string(row) + " of " + std::to_string(now.rows) + " rows");
      break;
    }
    if (items.integer(0) != row) {
      add("has no item for row " + std::to_string(row));
      break;
    }
    if (checksum_of(item(row)) != static_cast<uint32_t>(items.integer(1)))
      add("the item of row " + std::to_string(row) + " is damaged");
  }
  return faults;
}

void ItemTable::copy_to(const std::filesystem::path& to) {
  database_.prepare("VACUUM INTO ?").bind(1, to.string()).run();
}

}  // namespace mii::search
