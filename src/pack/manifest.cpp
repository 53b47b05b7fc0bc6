#include "pack/manifest.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "core/file.h"
#include "mii/error.h"

namespace mii {
namespace {

constexpr uint64_t kMaxBytes = 1u << 30;

std::vector<std::string> split(std::string_view line, char separator) {
  std::vector<std::string> values;
  for (size_t begin = 0;;) {
    const size_t end = line.find(separator, begin);
    values.emplace_back(line.substr(begin, end - begin));
    if (end == std::string_view::npos) return values;
    begin = end + 1;
  }
}

}  // namespace

Manifest Manifest::read(const std::filesystem::path& file) {
  Manifest manifest;
  manifest.file_ = file;
  manifest.folder_ = file.parent_path();
  const std::string text = read_text_file(file, kMaxBytes);
  size_t number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    ++number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    auto values = split(line, '\t');
    const std::string where = file.string() + ":" + std::to_string(number) + ": ";
    if (manifest.columns_.empty()) {
      if (std::set(values.begin(), values.end()).size() != values.size())
        throw Error(ErrorCode::invalid_argument, where + "a column is named twice");
      manifest.columns_ = std::move(values);
      if (!manifest.has("path"))
        throw Error(ErrorCode::invalid_argument,
                    where + "expected tab-separated column names with a column 'path'");
    } else if (values.size() != manifest.columns_.size()) {
      throw Error(ErrorCode::invalid_argument, where + "has " + std::to_string(values.size()) +
                                                   " values, expected " +
                                                   std::to_string(manifest.columns_.size()));
    } else {
      manifest.rows_.push_back(std::move(values));
    }
  }
  if (manifest.rows_.empty()) throw Error(ErrorCode::invalid_argument, file.string() + ": has no rows");
  return manifest;
}

size_t Manifest::column(const std::string& name) const {
  return static_cast<size_t>(std::find(columns_.begin(), columns_.end(), name) - columns_.begin());
}

bool Manifest::has(const std::string& name) const { return column(name) < columns_.size(); }

const std::string& Manifest::at(size_t row, const std::string& name) const {
  static const std::string kNone;
  const size_t c = column(name);
  return c < columns_.size() ? rows_[row][c] : kNone;
}

void Manifest::keep_where(const std::string& condition) {
  const size_t equals = condition.find('=');
  if (equals == std::string::npos)
    throw Error(ErrorCode::invalid_argument, "expected column=value[,value...], found '" + condition + "'");
  const std::string name = condition.substr(0, equals);
  const size_t c = column(name);
  if (c == columns_.size())
    throw Error(ErrorCode::invalid_argument, file_.string() + ": has no column '" + name + "'");
  const auto values = split(condition.substr(equals + 1), ',');
  std::erase_if(rows_, [&](const auto& row) {
    return std::find(values.begin(), values.end(), row[c]) == values.end();
  });
  if (rows_.empty()) throw Error(ErrorCode::invalid_argument, file_.string() + ": no row with " + condition);
}

}  // namespace mii
