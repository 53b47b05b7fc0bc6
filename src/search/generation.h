#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "search/collection.h"
#include "search/item_table.h"
#include "search/row_file.h"
#include "search/scan.h"

namespace mii::search {

/// The files of a folder's collection since it was last written anew: the table of items and three files of
/// vectors (as stored, as 8-bit integers, as signs).
class Generation {
 public:
  /// An empty one, its version given.
  static void create(const std::filesystem::path& folder, DType precision, uint64_t version);
  Generation(std::filesystem::path folder, bool writable);

  ItemTable& table() { return table_; }
  const TableState& state() const { return state_; }
  /// Looks at what others have written. Within a transaction.
  void read_state();

  /// Writes rows and their items as one change, after `removed` ids were. Durable when it returns.
  struct Batch {
    std::span<const Item> items;
    const Matrix& vectors;  ///< unit vectors
    uint64_t version;
    std::optional<Identity> identity;
  };
  AddCounts append(const Batch& batch);
  size_t remove(std::span<const std::string> ids);

  /// Of state().rows rows.
  VectorRows rows();
  /// As RowFile::release.
  void release(uint32_t first, size_t count);
  void decode(uint32_t row, std::span<float> vector);
  /// Of state().rows rows at least.
  const Column& column(const std::string& name);

  /// What is wrong with the files, a sentence each.
  std::vector<std::string> faults();
  /// To an empty folder. Returns the version.
  void copy_to(const std::filesystem::path& folder);

 private:
  struct Files {
    RowFile stored, int8, signs;
  };
  struct CachedColumn {
    Column column;
    std::map<std::string, uint32_t, std::less<>> codes;
  };

  Files create_files(size_t dim) const;
  Files open_files(uint32_t rows) const;

  std::filesystem::path folder_;
  bool writable_;
  ItemTable table_;
  TableState state_;
  std::optional<Files> files_;
  std::map<std::string, CachedColumn> columns_;
};

}  // namespace mii::search
