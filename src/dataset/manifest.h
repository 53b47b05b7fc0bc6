#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "dataset/table.h"

namespace mii {

/// A table of images. Column "path" is relative to the table's folder.
class Manifest {
 public:
  /// where: the rows that are kept meet all of these conditions. Throws as Table::read and Table::keep_where
  /// do, and Error{invalid_argument} without a column "path".
  static Manifest read(const std::filesystem::path& file, const std::vector<std::string>& where = {});

  const Table& table() const { return table_; }
  size_t rows() const { return table_.rows(); }
  bool has(std::string_view column) const { return table_.has(column); }
  const std::string& at(size_t row, std::string_view column) const { return table_.at(row, column); }
  std::filesystem::path path(size_t row) const { return folder_ / at(row, "path"); }

  /// Whose image a row is: the source and its patient, or the path where the patient is not known.
  std::string group(size_t row) const;

  /// As Table::meets.
  std::vector<bool> meets(std::string_view condition) const { return table_.meets(condition); }

 private:
  Manifest(std::filesystem::path folder, Table table)
      : folder_(std::move(folder)), table_(std::move(table)) {}

  std::filesystem::path folder_;
  Table table_;
};

}  // namespace mii
