// How a database is searched: PostgreSQL chooses candidates, and our own sums rank them.
#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>

#include "core/number_text.h"
#include "mii/error.h"
#include "search/bitmap.h"
#include "search/checks.h"
#include "search/choice.h"
#include "search/postgres_collection.h"
#include "search/postgres_filter.h"
#include "search/scan.h"

namespace mii::search {
namespace {

constexpr size_t kExactItems = 20'000;  // below, reading every vector is as fast as the index
constexpr size_t kMaxIndexHits = 1000;  // beyond, the index is no faster
constexpr size_t kFewShare = 4;         // of the items: fewer are looked up one by one
constexpr size_t kMore = 4;             // times as many candidates, while there are too few hits

[[noreturn]] void refuse(const std::string& what) { throw Error(ErrorCode::invalid_argument, what); }

std::string vector_text(std::span<const float> values) {
  std::string text = "[";
  std::array<char, 32> digits;
  for (const float value : values) {
    if (text.size() > 1) text += ',';
    text.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr);
  }
  return text + "]";
}

// Columns of another table, by the numbers of this one. How few rows a filter leaves, PostgreSQL does not
// know: from a plain join it would read all of the other table. OFFSET 0 keeps it from making one of this.
std::string looked_up(const std::string& by, const std::string& table, const std::string& columns) {
  return " CROSS JOIN LATERAL (SELECT " + columns + " FROM mii_" + table + " WHERE number = " + by +
         ".number OFFSET 0) AS " + table;
}

// An item's value in a column; no column: NULL.
std::string value_of(const std::string& column, Sql& sql) {
  if (column.empty()) return "NULL";
  return column == "id" ? "id" : "attributes ->> " + sql.value(column) + "::text";
}

void expect_column(const std::string& name, const std::vector<std::string>& columns) {
  if (name != "id" && std::ranges::find(columns, name) == columns.end()) refuse_column(name, columns);
}

}  // namespace

/// Rows that may be hits, in the order of their ids.
struct PostgresCollection::Candidates {
  std::vector<int64_t> numbers;
  std::vector<std::string> ids;
  std::vector<std::optional<std::string>> groups;
  Matrix vectors;
};

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
                                                              const SearchOptions& options, const Ask& ask) {
  Sql sql = live_items(now, options);
  const std::string vector = sql.value(vector_text(query));
  const std::string group = value_of(options.one_per, sql);
  std::string best;
  if (ask.stage == Stage::hnsw) {
    const std::string dim = std::to_string(now.dim);
    best = "WITH best AS MATERIALIZED (SELECT number FROM mii_vectors JOIN mii_items USING (number) WHERE " +
           sql.text + " ORDER BY embedding::halfvec(" + dim + ") <#> " + vector + "::halfvec(" + dim +
           ") LIMIT " + std::to_string(ask.wanted) + ")";
    database_.run("SET LOCAL hnsw.iterative_scan = relaxed_order");
    database_.run("SET LOCAL hnsw.ef_search = " +
                  std::to_string(std::clamp<size_t>(40 * ask.wanted, 400, 1000)));
    // Only the index gives this order; the other tables are looked into by numbers.
    for (const char* other : {"seqscan", "bitmapscan", "hashjoin", "mergejoin", "sort"})
      database_.run(std::string("SET LOCAL enable_") + other + " = off");
  } else {
    // All that PostgreSQL's sums, which are not of one order, do not rule out.
    const std::string margin = number_text(4.0 * rounding_error(now.dim));
    const bool few = ask.searched < now.items / kFewShare;
    const std::string tables = few ? "(SELECT number FROM mii_items WHERE " + sql.text + ") AS few" +
                                         looked_up("few", "vectors", "embedding")
                                   : "mii_items JOIN mii_vectors USING (number) WHERE " + sql.text;
    best = "WITH scored AS MATERIALIZED (SELECT number, embedding <#> " + vector +
           "::vector AS distance FROM " + tables +
           "), best AS (SELECT number FROM scored WHERE distance <= coalesce((SELECT distance FROM scored "
           "ORDER BY distance LIMIT 1 OFFSET " +
           std::to_string(ask.wanted - 1) + ") + " + margin + ", 'Infinity'))";
  }
  sql.text = best + " SELECT number, id, " + group + ", embedding FROM best" +
             looked_up("best", "items", "id, attributes") + looked_up("best", "vectors", "embedding");
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
    found = candidates(now, query, options, {answer.stage, wanted, searched});
    // Behind a filter, the index gives up at some time.
    if (answer.stage == Stage::hnsw && found.ids.size() < std::min(wanted, searched)) {
      answer.stage = Stage::exact;
      found = candidates(now, query, options, {answer.stage, wanted, searched});
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
  const std::string asked = sql.numbers(numbers);
  std::vector<Item> items =
      items_where(std::move(sql), "number IN (SELECT " + asked + "::bigint) ORDER BY id");
  for (const Chosen& hit : chosen) {
    const auto item = std::ranges::lower_bound(items, found.ids[hit.row.row], {}, &Item::id);
    answer.hits.push_back({*item, hit.row.similarity, hit.folded});
  }
  return answer;
}

void PostgresCollection::expect_columns_of(const SearchOptions& options, const std::string& column) {
  const std::vector<std::string> known = columns();
  if (options.filter)
    for (const std::string& name : columns_of(*options.filter)) expect_column(name, known);
  if (!column.empty()) expect_column(column, known);
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
    expect_columns_of(options, options.one_per);
    const size_t searched = count(now, options);
    answers.clear();
    for (size_t q = 0; q < queries.rows(); ++q)
      answers.push_back(search_one(now, queries.row(q), options, searched));
  });
  return answers;
}

Selection PostgresCollection::select(const SelectOptions& options) {
  const std::lock_guard guard(mutex_);
  Selection selection;
  database_.read([&] {
    const State now = state();
    const SearchOptions filtered{.filter = options.filter};
    expect_columns_of(filtered, options.column);
    selection = {.version = now.version, .items = count(now, filtered)};
    const size_t wanted = std::min(options.most, selection.items);
    if (wanted == 0) return;
    const std::string items = std::to_string(selection.items), most = std::to_string(wanted);
    Sql sql = live_items(now, filtered);
    const std::string value = value_of(options.column, sql);
    // Of place k * items / most, rounded down, for every k.
    sql.text = "SELECT id, value FROM (SELECT number, id, " + value +
               " AS value, row_number() OVER (ORDER BY number) - 1 AS place FROM mii_items WHERE " +
               sql.text + ") AS live WHERE (place * " + most + " + " + items + " - 1) / " + items + " * " +
               items + " < (place + 1) * " + most + " ORDER BY number";
    const PostgresRows rows = database_.run(sql);
    for (size_t r = 0; r < rows.rows(); ++r) {
      selection.ids.emplace_back(rows.bytes(r, 0));
      if (!options.column.empty()) selection.values.emplace_back(rows.is_null(r, 1) ? "" : rows.bytes(r, 1));
    }
  });
  return selection;
}

}  // namespace mii::search
