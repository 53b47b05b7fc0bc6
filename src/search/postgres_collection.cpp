#include "search/postgres_collection.h"

#include <algorithm>
#include <array>
#include <boost/json.hpp>

#include "core/json_writer.h"
#include "mii/error.h"
#include "search/checks.h"

namespace mii::search {
namespace {

constexpr size_t kMaxStoredDim = 16'000;  // pgvector's limits: of a vector, and of an index of halfvec
constexpr size_t kMaxIndexedDim = 4000;

// What turns a collection of format i into one of format i + 1. Those that are released never change.
//
// mii_items is narrow, so that filters read little. Its rows never change, but for the version that removed
// them. Vectors stand in their table's own pages where a page has room for one.
constexpr std::array<const char*, 2> kMigrations{R"(
  CREATE TABLE mii_state (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    dim bigint NOT NULL DEFAULT 0,
    identity text,
    version bigint NOT NULL DEFAULT 0,
    first_version bigint NOT NULL DEFAULT 0,
    next_number bigint NOT NULL DEFAULT 0,
    items bigint NOT NULL DEFAULT 0,
    removed bigint NOT NULL DEFAULT 0);
  INSERT INTO mii_state DEFAULT VALUES;
  CREATE TABLE mii_columns (number bigint PRIMARY KEY, name text NOT NULL UNIQUE);
  CREATE TABLE mii_items (
    number bigint PRIMARY KEY,
    id text COLLATE "C" NOT NULL,
    attributes jsonb NOT NULL,
    numbers jsonb NOT NULL,
    state text NOT NULL,
    added bigint NOT NULL,
    removed bigint);
  CREATE UNIQUE INDEX mii_items_id ON mii_items (id) WHERE removed IS NULL;
  CREATE TABLE mii_vectors (
    number bigint PRIMARY KEY REFERENCES mii_items ON DELETE CASCADE,
    embedding vector NOT NULL) WITH (toast_tuple_target = 8160);
  CREATE TABLE mii_thumbnails (number bigint PRIMARY KEY REFERENCES mii_items ON DELETE CASCADE, jpeg bytea NOT NULL);
  CREATE TABLE mii_typical (one boolean PRIMARY KEY DEFAULT true CHECK (one), version bigint, nearest jsonb);
)",
                                                 R"(
  CREATE TABLE mii_audit (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    time timestamptz NOT NULL,
    caller text NOT NULL,
    query text NOT NULL,
    filter text NOT NULL,
    version bigint NOT NULL,
    ids jsonb NOT NULL);
)"};
constexpr auto kFormat = static_cast<int64_t>(kMigrations.size());

[[noreturn]] void refuse(const std::string& what) { throw Error(ErrorCode::invalid_argument, what); }

// Whether a table or index is in the schema of the collection, and not just in one that stands behind it.
std::string is_there(const std::string& name) {
  return "to_regclass(quote_ident(current_schema()) || '." + name + "') IS NOT NULL";
}

std::string attributes_json(const Item& item) {
  JsonWriter json(JsonWriter::Style::compact);
  json.begin_object();
  for (const auto& [column, value] : item.attributes) json.member(column, value);
  return json.end_object().finish();
}

std::string numbers_json(const Item& item) {
  JsonWriter json(JsonWriter::Style::compact);
  json.begin_object();
  if (const auto number = number_of(item.id)) json.member("id", *number);
  for (const auto& [column, value] : item.attributes)
    if (const auto number = number_of(value)) json.member(column, *number);
  return json.end_object().finish();
}

void expect_keepable(std::span<const Item> items, size_t dim) {
  if (dim > kMaxStoredDim)
    refuse("vectors of " + std::to_string(dim) + " values; PostgreSQL keeps at most " +
           std::to_string(kMaxStoredDim));
  for (const Item& item : items) {
    expect_no_zero_byte(item.id);
    expect_no_zero_byte(item.state);
    for (const auto& [column, value] : item.attributes) {
      expect_no_zero_byte(column);
      expect_no_zero_byte(value);
    }
  }
}

}  // namespace

void PostgresCollection::create(const std::string& url) {
  Postgres database(url);
  database.write([&] {
    if (database.run("SELECT " + is_there("mii_format")).truth(0, 0))
      throw Error(ErrorCode::io, database.name() + ": is there already");
    if (!database.run("SELECT current_setting('server_encoding') = 'UTF8'").truth(0, 0))
      throw Error(ErrorCode::io, database.name() + ": the database is not in UTF-8");
    database.run("CREATE EXTENSION IF NOT EXISTS vector");
    if (!database
             .run("SELECT string_to_array(extversion, '.')::int[] >= '{0,8}' FROM pg_extension WHERE extname "
                  "= "
                  "'vector'")
             .truth(0, 0))
      throw Error(ErrorCode::io, database.name() + ": its pgvector is older than 0.8");
    database.run("CREATE TABLE mii_format (format bigint NOT NULL)");
    database.run("INSERT INTO mii_format VALUES (0)");
  });
  PostgresCollection(url, Access::write);
}

PostgresCollection::PostgresCollection(std::string url, Access access, int attempts)
    : database_(std::move(url), attempts) {
  int64_t format = 0;
  database_.read([&] {
    if (!database_.run("SELECT " + is_there("mii_format")).truth(0, 0))
      throw Error(ErrorCode::io, database_.name() + ": is no collection");
    format = database_.run("SELECT format FROM mii_format").integer(0, 0);
  });
  const std::string has = database_.name() + ": has format " + std::to_string(format);
  if (format > kFormat)
    throw Error(ErrorCode::unsupported,
                has + " of a newer version of this program, which reads " + std::to_string(kFormat));
  if (format == kFormat) return;
  if (access == Access::read)
    throw Error(ErrorCode::unsupported, has +
                                            " of an older version of this program; the next change to the "
                                            "collection, of any item, migrates it");
  migrate();
}

void PostgresCollection::migrate() {
  database_.write([&] {
    const PostgresRows rows = database_.run("SELECT format FROM mii_format FOR UPDATE");
    for (int64_t format = rows.integer(0, 0); format < kFormat; ++format)
      database_.run_script(kMigrations[static_cast<size_t>(format)]);
    database_.run("UPDATE mii_format SET format = " + std::to_string(kFormat));
  });
}

PostgresCollection::State PostgresCollection::state(const char* lock) {
  const PostgresRows rows = database_.run(
      std::string("SELECT dim, identity, version, first_version, next_number, items, removed, ") +
      is_there("mii_vectors_hnsw") + " FROM mii_state" + lock);
  if (rows.rows() != 1) throw Error(ErrorCode::io, database_.name() + ": its state is missing");
  State state;
  state.dim = static_cast<size_t>(rows.integer(0, 0));
  if (!rows.is_null(0, 1)) state.identity = Identity::parse(rows.bytes(0, 1));
  state.version = static_cast<uint64_t>(rows.integer(0, 2));
  state.first_version = static_cast<uint64_t>(rows.integer(0, 3));
  state.next_number = rows.integer(0, 4);
  state.items = static_cast<size_t>(rows.integer(0, 5));
  state.removed = static_cast<size_t>(rows.integer(0, 6));
  state.has_index = rows.truth(0, 7);
  return state;
}

std::vector<std::string> PostgresCollection::columns(const std::string& tables) {
  const PostgresRows rows = database_.run("SELECT name FROM " + tables + "columns ORDER BY number");
  std::vector<std::string> names;
  for (size_t r = 0; r < rows.rows(); ++r) names.emplace_back(rows.bytes(r, 0));
  return names;
}

CollectionInfo PostgresCollection::info() {
  const std::lock_guard guard(mutex_);
  CollectionInfo info;
  database_.read([&] {
    const State now = state();
    info = {DType::f32, now.dim, now.identity, now.version, now.items, now.removed, columns()};
  });
  return info;
}

AddCounts PostgresCollection::add(std::span<const Item> items, const Matrix& vectors,
                                  const Identity& identity) {
  const std::lock_guard guard(mutex_);
  AddCounts counts;
  database_.write([&] {
    State now = state(" FOR UPDATE");
    expect_fitting({database_.name(), now.dim, now.identity}, items, vectors, identity);
    if (items.empty()) return;
    const Matrix units = unit_vectors(items, vectors);
    const std::vector<Item> kept = without_empty_values(items);
    now.dim = vectors.cols();
    if (!now.identity) now.identity = identity;
    ++now.version;
    std::vector<std::string> ids;
    for (const Item& item : kept) ids.push_back(item.id);
    counts.replaced = mark_removed(ids, now.version);
    counts.added = kept.size() - counts.replaced;
    insert({kept, units, now.next_number, now.version});
    Sql sql;
    sql.text = "UPDATE mii_state SET dim = " + std::to_string(now.dim) +
               ", identity = " + sql.value(now.identity->json()) +
               ", version = " + std::to_string(now.version) + ", next_number = next_number + " +
               std::to_string(kept.size()) + ", items = items + " + std::to_string(counts.added) +
               ", removed = removed + " + std::to_string(counts.replaced);
    database_.run(sql);
  });
  return counts;
}

size_t PostgresCollection::mark_removed(std::span<const std::string> ids, uint64_t version) {
  Sql sql;
  sql.text = "WITH gone AS (UPDATE mii_items SET removed = " + std::to_string(version) +
             " WHERE removed IS NULL AND id IN (SELECT " + sql.texts(ids) +
             ") RETURNING 1) SELECT count(*) FROM gone";
  return static_cast<size_t>(database_.run(sql).integer(0, 0));
}

void PostgresCollection::insert(const Rows& rows, const std::string& tables) {
  expect_keepable(rows.items, rows.vectors.cols());
  std::vector<std::string> known = columns(tables);
  const size_t before = known.size();
  CopyData item_rows, vector_rows, thumbnail_rows, column_rows;
  for (size_t i = 0; i < rows.items.size(); ++i) {
    const Item& item = rows.items[i];
    const int64_t number = rows.first_number + static_cast<int64_t>(i);
    for (const Attribute& attribute : item.attributes)
      if (std::ranges::find(known, attribute.column) == known.end()) known.push_back(attribute.column);
    item_rows.begin_row(6).integer(number).bytes(item.id).json(attributes_json(item));
    item_rows.json(numbers_json(item)).bytes(item.state).integer(static_cast<int64_t>(rows.version));
    vector_rows.begin_row(2).integer(number).vector(rows.vectors.row(i));
    if (item.thumbnail.empty()) continue;
    thumbnail_rows.begin_row(2).integer(number).bytes(
        {reinterpret_cast<const char*>(item.thumbnail.data()), item.thumbnail.size()});
  }
  expect_columns(database_.name(), known.size());
  for (size_t i = before; i < known.size(); ++i)
    column_rows.begin_row(2).integer(static_cast<int64_t>(i)).bytes(known[i]);
  database_.copy(tables + "columns (number, name)", column_rows.finish());
  database_.copy(tables + "items (number, id, attributes, numbers, state, added)", item_rows.finish());
  database_.copy(tables + "vectors (number, embedding)", vector_rows.finish());
  database_.copy(tables + "thumbnails (number, jpeg)", thumbnail_rows.finish());
}

size_t PostgresCollection::remove(std::span<const std::string> ids) {
  const std::lock_guard guard(mutex_);
  size_t removed = 0;
  database_.write([&] {
    const State now = state(" FOR UPDATE");
    removed = mark_removed(ids, now.version + 1);
    if (removed == 0) return;
    const std::string count = std::to_string(removed);
    database_.run("UPDATE mii_state SET version = version + 1, items = items - " + count +
                  ", removed = removed + " + count);
  });
  return removed;
}

std::vector<Item> PostgresCollection::items_where(Sql sql, const std::string& condition) {
  sql.text =
      "SELECT id, attributes::text, state, jpeg FROM mii_items LEFT JOIN mii_thumbnails USING (number) "
      "WHERE " +
      condition;
  const std::vector<std::string> names = columns();
  const PostgresRows rows = database_.run(sql);
  std::vector<Item> items;
  for (size_t r = 0; r < rows.rows(); ++r) {
    Item item{.id = std::string(rows.bytes(r, 0)), .state = std::string(rows.bytes(r, 2))};
    const boost::json::value attributes = boost::json::parse(rows.bytes(r, 1));
    for (const std::string& name : names)
      if (const auto* value = attributes.as_object().if_contains(name))
        item.attributes.push_back({name, std::string(value->as_string())});
    if (!rows.is_null(r, 3)) {
      const auto jpeg = std::as_bytes(std::span(rows.bytes(r, 3)));
      item.thumbnail.assign(jpeg.begin(), jpeg.end());
    }
    items.push_back(std::move(item));
  }
  return items;
}

std::vector<std::optional<Item>> PostgresCollection::find(std::span<const std::string> ids) {
  const std::lock_guard guard(mutex_);
  std::vector<std::optional<Item>> found;
  database_.read([&] {
    Sql sql;
    const std::string asked = sql.texts(ids);
    std::vector<Item> items =
        items_where(std::move(sql), "removed IS NULL AND id IN (SELECT " + asked + ") ORDER BY id");
    found.clear();
    for (const std::string& id : ids) {
      const auto item = std::ranges::lower_bound(items, id, {}, &Item::id);
      found.push_back(item != items.end() && item->id == id ? std::optional(*item) : std::nullopt);
    }
  });
  return found;
}

std::vector<Item> PostgresCollection::page(const std::string& after, size_t limit) {
  const std::lock_guard guard(mutex_);
  std::vector<Item> items;
  database_.read([&] {
    Sql sql;
    const std::string id = sql.value(after);
    items = items_where(std::move(sql),
                        "removed IS NULL AND id > " + id + " ORDER BY id LIMIT " + std::to_string(limit));
  });
  return items;
}

Matrix PostgresCollection::vectors(std::span<const std::string> ids) {
  const std::lock_guard guard(mutex_);
  Matrix vectors;
  database_.read([&] {
    Sql sql;
    sql.text =
        "SELECT embedding FROM " + sql.texts(ids) +
        " WITH ORDINALITY AS asked (id, place) LEFT JOIN mii_items ON mii_items.id = asked.id AND removed "
        "IS NULL LEFT JOIN mii_vectors USING (number) ORDER BY place";
    const PostgresRows rows = database_.run(sql);
    vectors = Matrix(ids.size(), state().dim);
    for (size_t i = 0; i < ids.size(); ++i) {
      if (rows.is_null(i, 0)) refuse("there is no item '" + ids[i] + "'");
      rows.vector(i, 0, vectors.row(i));
    }
  });
  return vectors;
}

void PostgresCollection::compact() {
  const std::lock_guard guard(mutex_);
  database_.write([&] {
    state(" FOR UPDATE");
    database_.run("DELETE FROM mii_items WHERE removed IS NOT NULL");
    database_.run("UPDATE mii_state SET version = version + 1, first_version = version + 1, removed = 0");
  });
}

void PostgresCollection::create_index() {
  const std::lock_guard guard(mutex_);
  database_.write([&] {
    const State now = state(" FOR UPDATE");
    if (now.dim == 0) refuse(database_.name() + ": is empty");
    if (now.dim > kMaxIndexedDim)
      throw Error(ErrorCode::unsupported, database_.name() + ": vectors of " + std::to_string(now.dim) +
                                              " values; an index takes at most " +
                                              std::to_string(kMaxIndexedDim));
    database_.run(
        "CREATE INDEX IF NOT EXISTS mii_vectors_hnsw ON mii_vectors USING hnsw ((embedding::halfvec(" +
        std::to_string(now.dim) + ")) halfvec_ip_ops)");
  });
}

std::vector<std::string> PostgresCollection::verify() {
  const std::lock_guard guard(mutex_);
  std::vector<std::string> faults;
  database_.read([&] {
    faults.clear();
    const State now = state();
    const auto expect_equal = [&](const char* what, size_t expected, const std::string& sql) {
      const auto found = static_cast<size_t>(database_.run(sql).integer(0, 0));
      if (found != expected)
        faults.push_back(database_.name() + ": has " + std::to_string(found) + " " + what + ", expected " +
                         std::to_string(expected));
    };
    expect_equal("items", now.items, "SELECT count(*) FROM mii_items WHERE removed IS NULL");
    expect_equal("removed items", now.removed, "SELECT count(*) FROM mii_items WHERE removed IS NOT NULL");
    expect_equal(
        "vectors of length 1", now.items + now.removed,
        "SELECT count(*) FROM mii_items JOIN mii_vectors USING (number) WHERE vector_dims(embedding) = " +
            std::to_string(now.dim) + " AND abs(vector_norm(embedding) - 1) < 0.01");
    expect_equal(
        "items from versions that are not there", 0,
        "SELECT count(*) FROM mii_items, mii_state WHERE added > version OR mii_items.removed > version");
  });
  return faults;
}

std::optional<Typical> PostgresCollection::typical() {
  const std::lock_guard guard(mutex_);
  std::optional<Typical> typical;
  database_.read([&] {
    typical.reset();
    const PostgresRows rows = database_.run("SELECT version, nearest::text FROM mii_typical");
    if (rows.rows() == 0) return;
    typical = {.version = static_cast<uint64_t>(rows.integer(0, 0))};
    const boost::json::value nearest = boost::json::parse(rows.bytes(0, 1));
    for (const boost::json::value& value : nearest.as_array())
      typical->nearest.push_back(value.to_number<float>());
  });
  return typical;
}

void PostgresCollection::measure_typical(size_t sample) {
  std::vector<std::string> ids;
  const uint64_t version = info().version;
  {
    const std::lock_guard guard(mutex_);
    database_.read([&] {
      ids.clear();
      const PostgresRows rows = database_.run(
          "SELECT id FROM (SELECT id, row_number() OVER (ORDER BY number) - 1 AS place, count(*) OVER () AS "
          "all_items "
          "FROM mii_items WHERE removed IS NULL) AS live WHERE place * " +
          std::to_string(sample) + " / all_items <> (place - 1) * " + std::to_string(sample) +
          " / all_items OR place = 0");
      for (size_t r = 0; r < rows.rows(); ++r) ids.emplace_back(rows.bytes(r, 0));
    });
  }
  const std::vector<std::optional<Item>> items = find(ids);
  const Matrix queries = vectors(ids);
  Typical typical{.version = version};
  for (size_t i = 0; i < ids.size(); ++i) {
    if (!items[i]) continue;
    SearchOptions options{.k = 1, .leave_out = {ids[i]}};
    if (const std::string_view patient = items[i]->value("patient"); !patient.empty())
      options.filter = negation(equals("patient", std::string(patient)));
    Matrix query(1, queries.cols());
    std::ranges::copy(queries.row(i), query.row(0).begin());
    const Answer answer = std::move(search(query, options).front());
    if (!answer.hits.empty()) typical.nearest.push_back(answer.hits.front().similarity);
  }
  std::ranges::sort(typical.nearest);
  const std::lock_guard guard(mutex_);
  database_.write([&] {
    Sql sql;
    sql.text =
        "INSERT INTO mii_typical (version, nearest) VALUES (" + std::to_string(version) + ", " +
        sql.value(JsonWriter(JsonWriter::Style::compact).value(typical.nearest).finish()) +
        "::jsonb) ON CONFLICT (one) DO UPDATE SET version = excluded.version, nearest = excluded.nearest";
    database_.run(sql);
  });
}

void PostgresCollection::record(const AuditEntry& search) {
  const std::lock_guard guard(mutex_);
  database_.write([&] {
    Sql sql;
    sql.text = "INSERT INTO mii_audit (time, caller, query, filter, version, ids) VALUES (";
    for (const std::string& text : {search.time, search.caller, search.query, search.filter})
      sql.text += sql.value(text) + ", ";
    sql.text += std::to_string(search.version) + ", " +
                sql.value(JsonWriter(JsonWriter::Style::compact).value(search.ids).finish()) + "::jsonb)";
    database_.run(sql);
  });
}

std::vector<AuditEntry> PostgresCollection::recorded() {
  const std::lock_guard guard(mutex_);
  std::vector<AuditEntry> entries;
  database_.read([&] {
    entries.clear();
    const PostgresRows rows = database_.run(
        "SELECT to_char(time AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), caller, query, filter, "
        "version, ids::text FROM mii_audit ORDER BY number");
    for (size_t r = 0; r < rows.rows(); ++r) {
      const auto text = [&](int column) { return std::string(rows.bytes(r, column)); };
      entries.push_back({text(0), text(1), text(2), text(3), static_cast<uint64_t>(rows.integer(r, 4)), {}});
      const boost::json::value ids = boost::json::parse(rows.bytes(r, 5));
      for (const boost::json::value& id : ids.as_array()) entries.back().ids.emplace_back(id.as_string());
    }
  });
  return entries;
}

}  // namespace mii::search
