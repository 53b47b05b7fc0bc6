#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace mii {

/// A table of texts with a header line: comma- or tab-separated, told by the header.
///
/// Values may be quoted as RFC 4180 says: between double quotes, a quote inside doubled; then they may hold
/// the separator and line breaks. Lines end in LF or CRLF; empty lines and a byte order mark are passed over.
class Table {
 public:
  /// Throws Error{io} for a file that cannot be read; else as parse does.
  static Table read(const std::filesystem::path& file);

  /// name: what errors call the table. Throws Error{invalid_argument}, with the line, for a row of another
  /// length than the header, a column named twice, a quoted value without its end or with text after it, and
  /// a table without rows.
  static Table parse(std::string_view text, const std::string& name);

  size_t rows() const { return rows_.size(); }
  const std::vector<std::string>& columns() const { return columns_; }
  bool has(std::string_view column) const { return index(column) < columns_.size(); }
  /// The value in a row; empty when the table has no such column.
  const std::string& at(size_t row, std::string_view column) const;

  /// Which rows meet a condition "column=value[,value...]".
  /// Throws Error{invalid_argument} when it is none, when there is no such column, or no row meets it.
  std::vector<bool> meets(std::string_view condition) const;

  /// Keeps those. Throws as meets does.
  void keep_where(std::string_view condition);

 private:
  size_t index(std::string_view column) const;

  std::string name_;
  std::vector<std::string> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace mii
