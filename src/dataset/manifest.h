#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include "dataset/table.h"

namespace mii {

/// A table of images. Column "path" is relative to the table's folder.
class Manifest {
 public:
  /// Throws as Table::read does, and Error{invalid_argument} without a column "path".
  static Manifest read(const std::filesystem::path& file);

  const Table& table() const { return table_; }
  size_t rows() const { return table_.rows(); }
  bool has(std::string_view column) const { return table_.has(column); }
  const std::string& at(size_t row, std::string_view column) const { return table_.at(row, column); }
  std::filesystem::path path(size_t row) const { return folder_ / at(row, "path"); }

  /// Whose image a row is: the source and its patient, or the path where the patient is not known.
  std::string group(size_t row) const;

  /// As Table::meets and Table::keep_where.
  std::vector<bool> meets(std::string_view condition) const { return table_.meets(condition); }
  void keep_where(std::string_view condition) { table_.keep_where(condition); }

 private:
  Manifest(std::filesystem::path folder, Table table)
      : folder_(std::move(folder)), table_(std::move(table)) {}

  std::filesystem::path folder_;
  Table table_;
};

}  // namespace mii
