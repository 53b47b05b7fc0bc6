#include "dataset/table.h"

#include <algorithm>
#include <optional>
#include <set>

#include "core/file.h"
#include "mii/error.h"

namespace mii {
namespace {

constexpr uint64_t kMaxBytes = 1u << 30;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> values;
  for (size_t begin = 0;;) {
    const size_t end = text.find(separator, begin);
    values.emplace_back(text.substr(begin, end - begin));
    if (end == std::string_view::npos) return values;
    begin = end + 1;
  }
}

/// Reads records from the front of a text.
class RecordReader {
 public:
  RecordReader(std::string_view text, const std::string& name) : rest_(text), name_(name) {
    if (rest_.starts_with(kByteOrderMark)) rest_.remove_prefix(kByteOrderMark.size());
    const std::string_view header = rest_.substr(0, rest_.find('\n'));
    separator_ = header.find('\t') != std::string_view::npos ? '\t' : ',';
  }

  /// The next record; nothing at the end.
  std::optional<std::vector<std::string>> next() {
    while (take_line_end()) {
    }
    if (rest_.empty()) return std::nullopt;
    record_line_ = line_;
    std::vector<std::string> values;
    do values.push_back(value());
    while (take(separator_));
    if (!rest_.empty() && !take_line_end()) fail("text after the closing quote of a value");
    return values;
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorCode::invalid_argument, name_ + ":" + std::to_string(record_line_) + ": " + what);
  }

 private:
  bool take(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }

  bool take_line_end() {
    if (rest_.starts_with("\r\n")) rest_.remove_prefix(1);
    if (!take('\n')) return false;
    ++line_;
    return true;
  }

  std::string value() {
    if (take('"')) return quoted_value();
    const size_t end = std::min(rest_.find_first_of(std::string{separator_, '\n'}), rest_.size());
    std::string_view plain = rest_.substr(0, end);
    rest_.remove_prefix(end);
    if (plain.ends_with('\r') && (rest_.empty() || rest_.starts_with('\n'))) plain.remove_suffix(1);
    return std::string(plain);
  }

  std::string quoted_value() {
    std::string text;
    for (;;) {
      const size_t quote = rest_.find('"');
      if (quote == std::string_view::npos) fail("a quoted value has no closing quote");
      const std::string_view part = rest_.substr(0, quote);
      line_ += static_cast<size_t>(std::ranges::count(part, '\n'));
      text += part;
      rest_.remove_prefix(quote + 1);
      if (!take('"')) return text;
      text += '"';
    }
  }

  std::string_view rest_;
  const std::string& name_;
  char separator_ = ',';
  size_t line_ = 1;
  size_t record_line_ = 1;
};

}  // namespace

Table Table::read(const std::filesystem::path& file) {
  return parse(read_text_file(file, kMaxBytes), file.string());
}

Table Table::parse(std::string_view text, const std::string& name) {
  Table table;
  table.name_ = name;
  RecordReader records(text, name);
  if (auto header = records.next()) {
    if (std::set(header->begin(), header->end()).size() != header->size())
      records.fail("a column is named twice");
    table.columns_ = std::move(*header);
  }
  while (auto record = records.next()) {
    if (record->size() != table.columns_.size())
      records.fail("has " + std::to_string(record->size()) + " values, expected " +
                   std::to_string(table.columns_.size()));
    table.rows_.push_back(std::move(*record));
  }
  if (table.rows_.empty()) throw Error(ErrorCode::invalid_argument, name + ": has no rows");
  return table;
}

size_t Table::index(std::string_view column) const {
  return static_cast<size_t>(std::ranges::find(columns_, column) - columns_.begin());
}

const std::string& Table::at(size_t row, std::string_view column) const {
  static const std::string kNone;
  const size_t c = index(column);
  return c < columns_.size() ? rows_[row][c] : kNone;
}

std::vector<bool> Table::meets(std::string_view condition) const {
  const size_t equals = condition.find('=');
  if (equals == std::string_view::npos)
    throw Error(ErrorCode::invalid_argument,
                "expected column=value[,value...], found '" + std::string(condition) + "'");
  const std::string_view name = condition.substr(0, equals);
  const size_t c = index(name);
  if (c == columns_.size())
    throw Error(ErrorCode::invalid_argument, name_ + ": has no column '" + std::string(name) + "'");
  const auto values = split(condition.substr(equals + 1), ',');
  std::vector<bool> met;
  for (const auto& row : rows_) met.push_back(std::ranges::find(values, row[c]) != values.end());
  if (std::ranges::find(met, true) == met.end())
    throw Error(ErrorCode::invalid_argument, name_ + ": no row with " + std::string(condition));
  return met;
}

void Table::keep_where(std::string_view condition) {
  const std::vector<bool> met = meets(condition);
  size_t row = 0;
  std::erase_if(rows_, [&](const auto&) { return !met[row++]; });
}

}  // namespace mii
