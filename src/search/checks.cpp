#include "search/checks.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>
#include <unordered_set>

#include "core/utf8.h"
#include "mii/error.h"
#include "search/codes.h"

namespace mii::search {
namespace {

constexpr size_t kMaxIdBytes = 4096;
constexpr size_t kMaxValueBytes = 1 << 20;
constexpr size_t kMaxColumns = 1000;

// As long as 1 to this share, as vectors are that were rounded to bf16.
constexpr double kLengthTolerance = 0.004;

[[noreturn]] void refuse(const std::string& what) { throw Error(ErrorCode::invalid_argument, what); }

void expect_text(std::string_view text, const std::string& what, size_t most) {
  if (text.size() > most)
    refuse(what + " has " + std::to_string(text.size()) + " bytes, at most " + std::to_string(most) +
           " are kept");
  if (find_invalid_utf8(text) != std::string_view::npos) refuse(what + " is not valid UTF-8");
}

void expect_items(std::span<const Item> items) {
  std::unordered_set<std::string_view> ids;
  for (const Item& item : items) {
    if (item.id.empty()) refuse("an item without an id");
    expect_text(item.id, "an id", kMaxIdBytes);
    if (!ids.insert(item.id).second) refuse("the id '" + item.id + "' is given twice");
    std::unordered_set<std::string_view> columns;
    for (const auto& [column, value] : item.attributes) {
      if (column.empty() || column == "id")
        refuse("item '" + item.id + "': a column may not be called '" + column + "'");
      if (!columns.insert(column).second)
        refuse("item '" + item.id + "': the column '" + column + "' is given twice");
      expect_text(column, "item '" + item.id + "': a column's name", kMaxIdBytes);
      expect_text(value, "item '" + item.id + "': the value of '" + column + "'", kMaxValueBytes);
    }
  }
}

// Several sums at once: one after another, each would wait for the one before.
double squared_length(std::span<const float> vector) {
  constexpr size_t kSums = 8;
  double sums[kSums] = {};
  size_t i = 0;
  for (; i + kSums <= vector.size(); i += kSums)
    for (size_t s = 0; s < kSums; ++s) sums[s] += double{vector[i + s]} * vector[i + s];
  for (; i < vector.size(); ++i) sums[0] += double{vector[i]} * vector[i];
  return std::accumulate(std::begin(sums), std::end(sums), 0.0);
}

}  // namespace

void expect_fitting(const Holding& holding, std::span<const Item> items, const Matrix& vectors,
                    const Identity& identity) {
  if (items.size() != vectors.rows())
    refuse(std::to_string(items.size()) + " items and " + std::to_string(vectors.rows()) + " vectors");
  if (items.empty()) return;
  expect_items(items);
  if (vectors.cols() == 0 || vectors.cols() > kMaxDim)
    refuse("vectors of " + std::to_string(vectors.cols()) + " values; 1 to " + std::to_string(kMaxDim) +
           " can be kept");
  if (holding.dim != 0 && vectors.cols() != holding.dim)
    refuse(holding.name + ": holds vectors of " + std::to_string(holding.dim) + " values, these have " +
           std::to_string(vectors.cols()));
  if (holding.identity) check_identity(identity, *holding.identity);
}

Matrix unit_vectors(std::span<const Item> items, const Matrix& vectors) {
  Matrix units = vectors.clone();
  for (size_t r = 0; r < units.rows(); ++r) {
    const double length = std::sqrt(squared_length(units.row(r)));
    if (!std::isfinite(length)) refuse("the vector of '" + items[r].id + "' is not finite");
    if (length == 0) refuse("the vector of '" + items[r].id + "' is zero");
    if (std::fabs(length - 1) > kLengthTolerance)
      for (float& value : units.row(r)) value = static_cast<float>(value / length);
  }
  return units;
}

std::vector<Item> without_empty_values(std::span<const Item> items) {
  std::vector<Item> kept(items.begin(), items.end());
  for (Item& item : kept) std::erase_if(item.attributes, [](const Attribute& a) { return a.value.empty(); });
  return kept;
}

void expect_queries(const std::string& name, size_t dim, const Matrix& queries,
                    const SearchOptions& options) {
  if (options.k < 1 || options.k > kMaxHits)
    refuse(std::to_string(options.k) + " hits; 1 to " + std::to_string(kMaxHits) + " can be asked for");
  if (dim != 0 && queries.cols() != dim)
    refuse(name + ": holds vectors of " + std::to_string(dim) + " values, the query has " +
           std::to_string(queries.cols()));
}

void refuse_column(const std::string& column, const std::vector<std::string>& columns) {
  std::string there;
  for (const std::string& known : columns) there += (there.empty() ? "" : ", ") + known;
  refuse("there is no column '" + column + "'" + (there.empty() ? "" : "; there are id, " + there));
}

void expect_columns(const std::string& name, size_t columns) {
  if (columns > kMaxColumns)
    refuse(name + ": " + std::to_string(columns) + " columns, at most " + std::to_string(kMaxColumns) +
           " can be kept");
}

}  // namespace mii::search
