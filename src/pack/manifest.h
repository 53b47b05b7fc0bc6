#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace mii {

/// A table of images: tab-separated, a header line, no quoting. Column "path" is relative to the table's
/// folder.
class Manifest {
 public:
  /// Throws Error{io}; Error{invalid_argument} with the line for a row of another length, no column "path",
  /// or a column named twice.
  static Manifest read(const std::filesystem::path& file);

  size_t rows() const { return rows_.size(); }
  bool has(const std::string& column) const;
  /// The value in a row, empty when the table has no such column.
  const std::string& at(size_t row, const std::string& column) const;
  std::filesystem::path path(size_t row) const { return folder_ / at(row, "path"); }

  /// Keeps the rows that meet a condition "column=value[,value...]".
  /// Throws Error{invalid_argument} when the condition is malformed, or there is no such column.
  void keep_where(const std::string& condition);

 private:
  size_t column(const std::string& name) const;

  std::filesystem::path file_;
  std::filesystem::path folder_;
  std::vector<std::string> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace mii
