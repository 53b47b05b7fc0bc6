#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "dataset/table.h"
#include "pipeline/collection_items.h"
#include "pipeline/vector_reader.h"
#include "search/collection.h"

namespace mii::pipeline {

/// The rows of a table that say more of vectors, by the column "id", else by "path".
class TableOfVectors {
 public:
  /// where: conditions as Table::keep_where has them. Throws as Table does, and Error{invalid_argument} for
  /// two rows of one vector.
  TableOfVectors(const std::filesystem::path& file, const std::vector<std::string>& where);

  /// Sets the columns of an item; false: it has no row.
  bool add_to(search::Item& item) const;

 private:
  Table table_;
  std::unordered_map<std::string, size_t> rows_;
};

/// Adds items to a collection in changes of some size, and leaves the vectors that are there already.
class CollectionFiller {
 public:
  struct Counts {
    size_t added = 0;
    size_t replaced = 0;
    size_t unchanged = 0;
  };

  /// collection outlives this. cancelled: true: stop before the next change.
  explicit CollectionFiller(search::Collection& collection, std::function<bool()> cancelled = {});

  /// Brings the items up to date whose vectors are there and come from the same bytes. Returns the images
  /// that are to be encoded.
  std::vector<ImageItem> without_known(std::vector<ImageItem> images);

  void add(std::span<const search::Item> items, const Matrix& vectors, const Identity& identity);

  /// What `mii embed` or export_collection wrote, of a reader that has read nothing yet, a change for each
  /// part; vectors without a row in the table, if there is one, are left out. Throws as the reader and the
  /// collection do, and says in which rows; the parts before stay. Throws Error{invalid_argument} for vectors
  /// that do not say by what they were made.
  void add_vectors(VectorReader& vectors, const TableOfVectors* table);

  /// After the last.
  Counts finish();

 private:
  bool cancelled() const { return cancelled_ && cancelled_(); }
  void update(search::Item item, search::Item there);
  void write_changed();
  std::vector<bool> changed_without_files(const std::vector<search::Item>& wanted,
                                          const std::vector<std::optional<search::Item>>& there,
                                          const Matrix& vectors);
  void add_part(StoredVectors part, const TableOfVectors* table);

  search::Collection& collection_;
  std::function<bool()> cancelled_;
  Counts counts_;
  std::vector<search::Item> changed_;  // whose vectors stay
};

/// Computes all vectors of a collection of images again, beside those that are there, and swaps at once,
/// unless an image fails or options.read.cancelled says so.
struct Rebuilt {
  bool swapped = false;
  std::vector<Failure> failures;
};
Rebuilt rebuild_collection(search::Collection& collection, const Engine& engine, const EncodeItems& options);

/// Writes the vectors to a file as `mii embed` does, and the items to FILE.items.csv. Throws
/// Error{invalid_argument} for an empty collection or another extension.
void export_collection(search::Collection& collection, const std::filesystem::path& file);

}  // namespace mii::pipeline
