#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor.h"
#include "mii/identity.h"
#include "mii/matrix.h"
#include "search/filter.h"
#include "search/scan.h"

namespace mii::search {

/// A value of an item. Values are texts, and never empty: what is empty is not there.
struct Attribute {
  std::string column;
  std::string value;
  auto operator<=>(const Attribute&) const = default;
};

/// What a vector belongs to. Columns that have a meaning by their names: path, patient, study, series,
/// instance, frame.
struct Item {
  std::string id;                     ///< one item of a collection has it
  std::vector<Attribute> attributes;  ///< each column once; a collection gives them in the order of columns
  std::string state;                  ///< of what the vector was computed from, in any words; may be empty
  std::vector<std::byte> thumbnail;   ///< JPEG, or nothing

  /// Empty where the item has no value in the column.
  std::string_view value(std::string_view column) const;
  bool operator==(const Item&) const = default;
};

/// Sets a column, in place of what it had. An empty value says that there is to be none.
void set_attribute(Item& item, const std::string& column, const std::string& value);

/// With the columns of the item that is there, where this one does not set them.
Item with_other_columns(Item item, const Item& there);

struct CollectionInfo {
  DType precision = DType::f32;      ///< of the stored vectors: f32 or bf16
  size_t dim = 0;                    ///< 0 before the first add
  std::optional<Identity> identity;  ///< of the vectors; absent before the first add
  uint64_t version = 0;              ///< one more with each change
  size_t items = 0;
  size_t removed = 0;                ///< rows that compacting would drop
  std::vector<std::string> columns;  ///< in the order in which they came
};

/// The distribution of how similar the items' nearest others are, of a sample.
struct Typical {
  uint64_t version = 0;
  std::vector<float> nearest;  ///< ascending
};

struct SearchOptions {
  size_t k = 10;                       ///< 1 to kMaxHits
  std::optional<Filter> filter;        ///< items that do not meet it are no hits
  std::vector<std::string> leave_out;  ///< ids that are no hits
  std::string
      one_per;  ///< a column: of the items with equal values only the best; items without one all count
  std::optional<float>
      fold_from;  ///< a hit that is at least so similar to a better hit is counted with that one
  std::optional<uint64_t> version;  ///< as it was then; absent: now
  Stage stage = Stage::automatic;
  int threads = 0;  ///< 0: every core
};
constexpr size_t kMaxHits = 10'000;

struct Hit {
  Item item;
  float similarity = 0;  ///< cosine: the dot product of the query and the stored vector
  size_t folded = 0;     ///< near-duplicates of it that were left out
};

struct Answer {
  std::vector<Hit> hits;  ///< the most similar first; of equally similar ones, by id
  uint64_t version = 0;   ///< of the collection that was searched
  size_t searched = 0;    ///< items that could have been hits
  Stage stage = Stage::exact;
};

struct SelectOptions {
  std::optional<Filter> filter;  ///< items that do not meet it are not selected
  std::string column;            ///< whose values are wanted; empty: none are
  size_t most = 1;               ///< items
};

/// Items in the order in which they came; where there are more than wanted, some at even distances.
struct Selection {
  uint64_t version = 0;  ///< of the collection
  size_t items = 0;      ///< that meet the filter
  std::vector<std::string> ids;
  std::vector<std::string>
      values;  ///< of the column, for each id, empty where there is none; no column: none
};

struct AddCounts {
  size_t added = 0;
  size_t replaced = 0;
};

/// What one search asked for and was given.
struct AuditEntry {
  std::string time;    ///< UTC, "2026-11-28T04:30:00Z"
  std::string caller;  ///< in any words
  std::string query;   ///< SHA-256 of the query's vector, or of those of its slices, float32, little-endian
  std::string filter;
  uint64_t version = 0;  ///< of the collection
  std::vector<std::string> ids;
};

/// All items of a collection with other vectors, beside those that are there, until finish() swaps at once.
/// Destroyed without it, it leaves no trace. The collection outlives it.
class Rebuild {
 public:
  virtual ~Rebuild() = default;
  /// As Collection::add, without replacing.
  virtual void add(std::span<const Item> items, const Matrix& vectors, const Identity& identity) = 0;
  /// Throws Error{invalid_argument} unless all items were added, and Error{io} when the collection has
  /// changed since it was begun. Versions before are then no longer kept.
  virtual void finish() = 0;
};

enum class Access { read, write };

/// Vectors with their items, all made by one model. What add and remove have returned from survives the end
/// of the process and of the machine. Methods may be called by several threads, and then run one after
/// another. Everything may throw Error{io}, and Error{network} when a database cannot be reached.
class Collection {
 public:
  virtual ~Collection() = default;

  virtual CollectionInfo info() = 0;

  /// Adds items, all of them or, where it throws, none; one whose id is there is replaced. vectors: [n, D],
  /// not zero; one whose length is not 1 (to 0.4 %) is divided by it. Throws Error{invalid_argument} for ids
  /// that are empty or given twice, a vector that is not finite or of another length than those that are
  /// there, and another identity, saying what differs.
  virtual AddCounts add(std::span<const Item> items, const Matrix& vectors, const Identity& identity) = 0;

  /// Ids that are not there are passed over. Returns how many were.
  virtual size_t remove(std::span<const std::string> ids) = 0;

  /// The items with these ids, nullopt for those that are not there.
  virtual std::vector<std::optional<Item>> find(std::span<const std::string> ids) = 0;

  /// The items after this id, in the order of ids (by bytes).
  virtual std::vector<Item> page(const std::string& after, size_t limit) = 0;

  /// [n, D] as stored. Throws Error{invalid_argument} for an id that is not there.
  virtual Matrix vectors(std::span<const std::string> ids) = 0;

  /// queries: [n, D], unit vectors. Throws Error{invalid_argument} for queries of another length, a k out of
  /// range, a column that no item has, or a version that is not kept.
  virtual std::vector<Answer> search(const Matrix& queries, const SearchOptions& options) = 0;

  /// Throws Error{invalid_argument} for a column that no item has.
  virtual Selection select(const SelectOptions& options) = 0;

  /// Drops the rows that were removed, at once. Versions before are then no longer kept.
  virtual void compact() = 0;

  virtual std::unique_ptr<Rebuild> rebuild() = 0;

  /// Reads everything; what is wrong, a sentence each.
  virtual std::vector<std::string> verify() = 0;

  /// How similar the items' nearest others are, as the last measure_typical() found.
  virtual std::optional<Typical> typical() = 0;
  /// Looks at a sample of `sample` items at most: at each one's nearest other, of another patient where
  /// patients are known.
  virtual void measure_typical(size_t sample) = 0;

  /// Adds to the table of searches, which stays when the collection is written anew, and holds no image and
  /// no vector. Durable when it returns. A collection that was opened for reading takes it too.
  virtual void record(const AuditEntry& search) = 0;
  /// The searches in the order in which they were recorded.
  virtual std::vector<AuditEntry> recorded() = 0;
};

/// How an identity fits that of a collection. Precision and version may differ, with a warning: the vectors
/// are nearly the same. of_text: a text's vector, which no preprocessing of images has a part in. Returns the
/// warning, or an empty text. Throws Error{invalid_argument} that says what differs.
struct IdentityCheck {
  bool of_text = false;
};
std::string check_identity(const Identity& found, const Identity& expected, IdentityCheck options = {});

}  // namespace mii::search
