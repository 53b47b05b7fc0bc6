#include "search/postgres_collection.h"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <charconv>
#include <numeric>

#include "core/json_writer.h"
#include "core/number_text.h"
#include "mii/error.h"
#include "search/bitmap.h"
#include "search/checks.h"
#include "search/choice.h"
#include "search/postgres_filter.h"
#include "search/scan.h"

namespace mii::search {
namespace {

constexpr size_t kMaxStoredDim = 16'000;  // pgvector's limits: of a vector, and of an index of halfvec
constexpr size_t kMaxIndexedDim = 4000;
constexpr size_t kExactItems = 20'000;  // below, reading every vector is as fast as the index
constexpr size_t kMaxIndexHits = 1000;  // beyond, the index is no faster
constexpr size_t kMore = 4;             // times as many candidates, while there are too few hits
constexpr size_t kMaxFaults = 20;

// What turns a collection of format i into one of format i + 1. Those that are released never change.
//
// mii_items is narrow, so that filters read little. Its rows never change, but for the version that removed
// them. Vectors stand in their table's own pages where a page has room for one.
constexpr std::array<const char*, 1> kMigrations{R"(
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
)"};
constexpr auto kFormat = static_cast<int64_t>(kMigrations.size());

[[noreturn]] void refuse(const std::string& what) { throw Error(ErrorCode::invalid_argument, what); }

void expect_no_zero_byte(std::string_view text) {
  if (text.find('\0') != std::string_view::npos)
    refuse("a text with a zero byte, which PostgreSQL cannot keep");
}

// Whether a table or index is in the schema of the collection, and not just in one that stands behind it.
std::string is_there(const std::string& name) {
  return "to_regclass(quote_ident(current_schema()) || '." + name + "') IS NOT NULL";
}

std::string json_of(std::span<const std::string> texts) {
  for (const std::string& text : texts) expect_no_zero_byte(text);
  return JsonWriter(JsonWriter::Style::compact).value(texts).finish();
}

template <typename Number>
std::string json_of_numbers(const std::vector<Number>& numbers) {
  return JsonWriter(JsonWriter::Style::compact).value(numbers).finish();
}

// The rows of a JSON array of texts, as a table of one column.
std::string texts_of(const std::string& json, Sql& sql) {
  return "jsonb_array_elements_text(" + sql.value(json) + "::jsonb)";
}

std::string vector_text(std::span<const float> values) {
  std::string text = "[";
  std::array<char, 32> digits;
  for (const float value : values) {
    if (text.size() > 1) text += ',';
    text.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr);
  }
  return text + "]";
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

void expect_keepable(std::span<const Item> items) {
  for (const Item& item : items) {
    expect_no_zero_byte(item.id);
    expect_no_zero_byte(item.state);
    for (const auto& [column, value] : item.attributes) {
      expect_no_zero_byte(column);
      expect_no_zero_byte(value);
    }
  }
}

void expect_column(const std::string& name, const std::vector<std::string>& columns) {
  if (name != "id" && std::ranges::find(columns, name) == columns.end()) refuse_column(name, columns);
}

}  // namespace

struct PostgresCollection::State {
  size_t dim = 0;
  std::optional<Identity> identity;
  uint64_t version = 0;
  uint64_t first_version = 0;
  int64_t next_number = 0;
  size_t items = 0;
  size_t removed = 0;
  bool has_index = false;
};

/// Rows that may be hits, in the order of their ids.
struct PostgresCollection::Candidates {
  std::vector<int64_t> numbers;
  std::vector<std::string> ids;
  std::vector<std::optional<std::string>> groups;
  Matrix vectors;
};

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

PostgresCollection::PostgresCollection(std::string url, Access access) : database_(std::move(url)) {
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

std::vector<std::string> PostgresCollection::columns() {
  const PostgresRows rows = database_.run("SELECT name FROM mii_columns ORDER BY number");
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
    if (vectors.cols() > kMaxStoredDim)
      refuse("vectors of " + std::to_string(vectors.cols()) + " values; PostgreSQL keeps at most " +
             std::to_string(kMaxStoredDim));
    const Matrix units = unit_vectors(items, vectors);
    const std::vector<Item> kept = without_empty_values(items);
    expect_keepable(kept);
    now.dim = vectors.cols();
    if (!now.identity) now.identity = identity;
    ++now.version;
    std::vector<std::string> ids;
    for (const Item& item : kept) ids.push_back(item.id);
    counts.replaced = mark_removed(ids, now.version);
    counts.added = kept.size() - counts.replaced;
    insert(kept, units, now);
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
             " WHERE removed IS NULL AND id IN (SELECT " + texts_of(json_of(ids), sql) +
             ") RETURNING 1) SELECT count(*) FROM gone";
  return static_cast<size_t>(database_.run(sql).integer(0, 0));
}

void PostgresCollection::insert(std::span<const Item> items, const Matrix& vectors, const State& state) {
  std::vector<std::string> known = columns();
  const size_t before = known.size();
  CopyData item_rows, vector_rows, thumbnail_rows, column_rows;
  for (size_t i = 0; i < items.size(); ++i) {
    const Item& item = items[i];
    const int64_t number = state.next_number + static_cast<int64_t>(i);
    for (const Attribute& attribute : item.attributes)
      if (std::ranges::find(known, attribute.column) == known.end()) known.push_back(attribute.column);
    item_rows.begin_row(6).integer(number).bytes(item.id).json(attributes_json(item));
    item_rows.json(numbers_json(item)).bytes(item.state).integer(static_cast<int64_t>(state.version));
    vector_rows.begin_row(2).integer(number).vector(vectors.row(i));
    if (item.thumbnail.empty()) continue;
    thumbnail_rows.begin_row(2).integer(number).bytes(
        {reinterpret_cast<const char*>(item.thumbnail.data()), item.thumbnail.size()});
  }
  expect_columns(database_.name(), known.size());
  for (size_t i = before; i < known.size(); ++i)
    column_rows.begin_row(2).integer(static_cast<int64_t>(i)).bytes(known[i]);
  database_.copy("mii_columns (number, name)", column_rows.finish());
  database_.copy("mii_items (number, id, attributes, numbers, state, added)", item_rows.finish());
  database_.copy("mii_vectors (number, embedding)", vector_rows.finish());
  database_.copy("mii_thumbnails (number, jpeg)", thumbnail_rows.finish());
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
    const std::string asked = texts_of(json_of(ids), sql);
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
        "SELECT embedding FROM " + texts_of(json_of(ids), sql) +
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

// The items that may be hits: FROM mii_items WHERE this.
Sql PostgresCollection::live_items(const State& now, const SearchOptions& options) {
  Sql sql;
  sql.text = "removed IS NULL";
  if (options.version && *options.version != now.version) {
    const std::string version = std::to_string(*options.version);
    sql.text = "added <= " + version + " AND (removed IS NULL OR removed > " + version + ")";
  }
  if (options.filter) sql.text += " AND " + condition_of(*options.filter, sql);
  return sql;
}

size_t PostgresCollection::count(const State& now, const SearchOptions& options) {
  if (!options.filter && options.version.value_or(now.version) == now.version) return now.items;
  Sql sql = live_items(now, options);
  sql.text = "SELECT count(*) FROM mii_items WHERE " + sql.text;
  return static_cast<size_t>(database_.run(sql).integer(0, 0));
}

Stage PostgresCollection::stage_of(const State& now, const SearchOptions& options, size_t searched) {
  const bool is_now = options.version.value_or(now.version) == now.version;
  switch (options.stage) {
    case Stage::automatic:
      return now.has_index && is_now && searched > kExactItems ? Stage::hnsw : Stage::exact;
    case Stage::exact:
      return Stage::exact;
    case Stage::hnsw:
      if (now.has_index && is_now) return Stage::hnsw;
      refuse(database_.name() + (now.has_index ? ": the index hnsw holds the newest version only"
                                               : ": has no index hnsw; `mii collection index` makes one"));
    default:
      refuse(database_.name() + ": the stages of a database are exact and hnsw, not " +
             std::string(to_string(options.stage)));
  }
}

PostgresCollection::Candidates PostgresCollection::candidates(const State& now, std::span<const float> query,
                                                              const SearchOptions& options, Stage stage,
                                                              size_t wanted) {
  Sql sql = live_items(now, options);
  const std::string vector = sql.value(vector_text(query));
  const std::string group = options.one_per.empty() ? "NULL"
                            : options.one_per == "id"
                                ? "id"
                                : "attributes ->> " + sql.value(options.one_per) + "::text";
  std::string best;
  if (stage == Stage::hnsw) {
    const std::string dim = std::to_string(now.dim);
    best = "WITH best AS MATERIALIZED (SELECT number FROM mii_vectors JOIN mii_items USING (number) WHERE " +
           sql.text + " ORDER BY embedding::halfvec(" + dim + ") <#> " + vector + "::halfvec(" + dim +
           ") LIMIT " + std::to_string(wanted) + ")";
    database_.run("SET LOCAL hnsw.iterative_scan = relaxed_order");
    database_.run("SET LOCAL hnsw.ef_search = " + std::to_string(std::clamp<size_t>(4 * wanted, 100, 1000)));
    // Only the index gives this order; the other tables are looked into by numbers.
    for (const char* other : {"seqscan", "bitmapscan", "hashjoin", "mergejoin", "sort"})
      database_.run(std::string("SET LOCAL enable_") + other + " = off");
  } else {
    // All that PostgreSQL's sums, which are not of one order, do not rule out.
    const std::string margin = number_text(4.0 * rounding_error(now.dim));
    best = "WITH scored AS MATERIALIZED (SELECT number, embedding <#> " + vector +
           "::vector AS distance FROM mii_items JOIN mii_vectors USING (number) WHERE " + sql.text +
           "), best AS (SELECT number FROM scored WHERE distance <= coalesce((SELECT distance FROM scored "
           "ORDER BY distance LIMIT 1 OFFSET " +
           std::to_string(wanted - 1) + ") + " + margin + ", 'Infinity'))";
  }
  sql.text = best + " SELECT number, id, " + group +
             ", embedding FROM best JOIN mii_items USING (number) JOIN mii_vectors USING (number)";
  const PostgresRows rows = database_.run(sql);

  std::vector<size_t> order(rows.rows());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::sort(order, {}, [&](size_t r) { return rows.bytes(r, 1); });
  Candidates found;
  found.vectors = Matrix(rows.rows(), now.dim);
  for (const size_t r : order) {
    rows.vector(r, 3, found.vectors.row(found.numbers.size()));
    found.numbers.push_back(rows.integer(r, 0));
    found.ids.emplace_back(rows.bytes(r, 1));
    found.groups.push_back(rows.is_null(r, 2) ? std::nullopt : std::optional<std::string>(rows.bytes(r, 2)));
  }
  return found;
}

Answer PostgresCollection::search_one(const State& now, std::span<const float> query,
                                      const SearchOptions& options, size_t searched) {
  Answer answer{.version = options.version.value_or(now.version), .searched = searched};
  answer.stage = stage_of(now, options, searched);
  if (searched == 0) return answer;
  Candidates found;
  std::vector<Chosen> chosen;
  Matrix queries(1, now.dim);
  std::ranges::copy(query, queries.row(0).begin());
  for (size_t wanted = options.k + options.leave_out.size();; wanted *= kMore) {
    if (wanted > kMaxIndexHits) answer.stage = Stage::exact;
    found = candidates(now, query, options, answer.stage, wanted);
    // Behind a filter, the index gives up at some time.
    if (answer.stage == Stage::hnsw && found.ids.size() < std::min(wanted, searched)) {
      answer.stage = Stage::exact;
      found = candidates(now, query, options, answer.stage, wanted);
    }
    const VectorRows rows{.stored = {reinterpret_cast<const std::byte*>(found.vectors.values().data()),
                                     now.dim * sizeof(float)},
                          .precision = DType::f32,
                          .dim = now.dim};
    // Rows are in the order of ids, and so are equally similar ones.
    const Scan best = scan(rows, Bitmap(found.ids.size(), true), queries,
                           {.k = wanted, .stage = Stage::exact, .threads = options.threads});
    chosen =
        choose(best.best.front(), options,
               {.vectors = rows,
                .id = [&](uint32_t row) { return found.ids[row]; },
                .group = [&](uint32_t row) -> std::optional<std::string_view> { return found.groups[row]; }});
    if (chosen.size() == options.k || wanted >= searched) break;
  }
  std::vector<int64_t> numbers;
  for (const Chosen& hit : chosen) numbers.push_back(found.numbers[hit.row.row]);
  Sql sql;
  const std::string asked = texts_of(json_of_numbers(numbers), sql);
  std::vector<Item> items =
      items_where(std::move(sql), "number IN (SELECT " + asked + "::bigint) ORDER BY id");
  for (const Chosen& hit : chosen) {
    const auto item = std::ranges::lower_bound(items, found.ids[hit.row.row], {}, &Item::id);
    answer.hits.push_back({*item, hit.row.similarity, hit.folded});
  }
  return answer;
}

std::vector<Answer> PostgresCollection::search(const Matrix& queries, const SearchOptions& options) {
  const std::lock_guard guard(mutex_);
  std::vector<Answer> answers;
  database_.read([&] {
    const State now = state();
    expect_queries(database_.name(), now.dim, queries, options);
    if (options.version && (*options.version < now.first_version || *options.version > now.version))
      refuse("version " + std::to_string(*options.version) + " is not kept; the collection has version " +
             std::to_string(now.version));
    const std::vector<std::string> known = columns();
    if (options.filter)
      for (const std::string& column : columns_of(*options.filter)) expect_column(column, known);
    if (!options.one_per.empty()) expect_column(options.one_per, known);
    const size_t searched = count(now, options);
    answers.clear();
    for (size_t q = 0; q < queries.rows(); ++q)
      answers.push_back(search_one(now, queries.row(q), options, searched));
  });
  return answers;
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
        sql.value(json_of_numbers(std::vector<double>(typical.nearest.begin(), typical.nearest.end()))) +
        "::jsonb) ON CONFLICT (one) DO UPDATE SET version = excluded.version, nearest = excluded.nearest";
    database_.run(sql);
  });
}

}  // namespace mii::search
