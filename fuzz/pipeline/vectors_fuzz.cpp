#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mii/error.h"
#include "pipeline/vector_reader.h"

// Files of vectors that hold anything: the first byte says which format, the second how many rows are read at
// once, the next two how many bytes are the index; the others are the file. Whatever the parts, the rows are
// the same.
namespace {

namespace fs = std::filesystem;
using namespace mii::pipeline;

struct Row {
  std::vector<float> values;
  std::string input;
  bool operator==(const Row&) const = default;
};

void write(const fs::path& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

std::optional<std::vector<Row>> read_in_parts(const fs::path& path, size_t part) {
  try {
    VectorReader reader(path);
    std::vector<Row> rows;
    for (size_t first = 0; first < reader.rows(); first += part) {
      const StoredVectors read = reader.next(part);
      if (read.sources.size() != std::min(part, reader.rows() - first)) std::abort();
      for (size_t r = 0; r < read.sources.size(); ++r)
        rows.push_back({{read.vectors.row(r).begin(), read.vectors.row(r).end()}, read.sources[r].input});
    }
    return rows;
  } catch (const mii::Error&) {
    return std::nullopt;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr const char* kExtensions[] = {".npy", ".safetensors", ".jsonl"};
  constexpr size_t kAll = 1 << 20;
  if (size < 4) return 0;
  static const fs::path folder = [] {
    fs::path made = fs::temp_directory_path() / ("mii-fuzz-vectors-" + std::to_string(getpid()));
    fs::create_directories(made);
    return made;
  }();
  const fs::path path = folder / (std::string("v") + kExtensions[data[0] % std::size(kExtensions)]);
  const std::string_view text(reinterpret_cast<const char*>(data + 4), size - 4);
  const size_t index_bytes = std::min<size_t>(data[2] << 8 | data[3], text.size());
  write(index_of_vectors(path), text.substr(0, index_bytes));
  write(path, text.substr(index_bytes));
  if (read_in_parts(path, data[1] % 8u + 1) != read_in_parts(path, kAll)) std::abort();
  return 0;
}
