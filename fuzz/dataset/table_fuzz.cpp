#include <cstdlib>

#include "dataset/table.h"
#include "mii/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    mii::Table table = mii::Table::parse({reinterpret_cast<const char*>(data), size}, "table");
    for (size_t row = 0; row < table.rows(); ++row)
      for (const std::string& column : table.columns())
        if (table.at(row, column).size() > size) std::abort();
    table.keep_where(table.columns().front() + "=" + table.at(0, table.columns().front()));
  } catch (const mii::Error&) {
  }
  return 0;
}
