#include "dataset/manifest.h"

#include "mii/error.h"

namespace mii {

Manifest Manifest::read(const std::filesystem::path& file, const std::vector<std::string>& where) {
  Table table = Table::read(file);
  if (!table.has("path"))
    throw Error(ErrorCode::invalid_argument,
                file.string() + ":1: expected comma- or tab-separated column names with a column 'path'");
  for (const std::string& condition : where) table.keep_where(condition);
  return {file.parent_path(), std::move(table)};
}

std::string Manifest::group(size_t row) const {
  const std::string& patient = at(row, "patient");
  return patient.empty() ? at(row, "path") : at(row, "source") + "/" + patient;
}

}  // namespace mii
