#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

#include "mii/error.h"
#include "search/folder_collection.h"

// A folder whose files hold anything: the input's first byte says which file the rest replaces in a small
// collection, or is written over at an offset in the next two bytes.
namespace {

namespace fs = std::filesystem;
using namespace mii::search;

constexpr const char* kFiles[] = {"collection.json", "generation-1/items.sqlite", "generation-1/vectors",
                                  "generation-1/vectors.int8", "generation-1/vectors.signs"};

fs::path make_collection() {
  const fs::path folder = fs::temp_directory_path() / ("mii-fuzz-collection-" + std::to_string(getpid()));
  fs::remove_all(folder);
  FolderCollection::create(folder);
  FolderCollection collection(folder, FolderCollection::Access::write);
  std::vector<Item> items;
  mii::Matrix vectors(20, 8);
  for (size_t r = 0; r < vectors.rows(); ++r) {
    items.push_back({.id = std::to_string(r), .attributes = {{"age", std::to_string(r)}, {"patient", "p"}}});
    vectors.row(r)[r % 8] = 1;
  }
  collection.add(items, vectors, {});
  collection.remove(std::vector<std::string>{"3"});
  collection.measure_typical(10);
  return folder;
}

// The alarm of libFuzzer's time-out interrupts a copy now and then.
void copy_anew(const fs::path& from, const fs::path& to) {
  std::error_code error;
  do {
    fs::remove_all(to, error);
    fs::copy(from, to, fs::copy_options::recursive, error);
  } while (error == std::errc::interrupted);
  if (error) throw fs::filesystem_error("copy", to, error);
}

void use(const fs::path& folder) {
  FolderCollection collection(folder);
  collection.info();
  for (const std::string& fault : collection.verify())
    if (fault.empty()) std::abort();
  const std::vector<Item> page = collection.page("", 100);
  mii::Matrix query(1, 8);
  query.row(0)[0] = 1;
  for (const Stage stage : {Stage::exact, Stage::int8, Stage::signs})
    if (collection
            .search(query, {.k = 5, .filter = parse_filter("age < 9"), .one_per = "patient", .stage = stage})
            .front()
            .hits.size() > 5)
      std::abort();
  collection.typical();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const fs::path original = make_collection();
  static const fs::path folder = original.string() + "-changed";
  if (size < 3) return 0;
  copy_anew(original, folder);
  const fs::path file = folder / kFiles[data[0] % std::size(kFiles)];
  const bool whole = data[0] >= 128;
  std::fstream stream(file, std::ios::binary | std::ios::out | (whole ? std::ios::trunc : std::ios::in));
  if (!whole) stream.seekp((data[1] << 8 | data[2]) % static_cast<int>(fs::file_size(file)));
  stream.write(reinterpret_cast<const char*>(data + 3), static_cast<std::streamsize>(size - 3));
  stream.close();
  try {
    use(folder);
  } catch (const mii::Error&) {
  }
  return 0;
}
