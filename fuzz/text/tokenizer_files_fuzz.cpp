// The bytes up to the first NUL are vocab.json, the rest is merges.txt.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

#include "mii/error.h"
#include "text/clip_tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto folder = [] {
    auto path = std::filesystem::temp_directory_path() / ("mii-fuzz-" + std::to_string(getpid()));
    std::filesystem::create_directories(path);
    return path;
  }();
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  const size_t end = std::min(bytes.find('\0'), bytes.size());
  std::ofstream(folder / "vocab.json", std::ios::binary) << bytes.substr(0, end);
  std::ofstream(folder / "merges.txt", std::ios::binary) << bytes.substr(std::min(end + 1, bytes.size()));
  try {
    mii::ClipTokenizer::load(folder).encode("a text 1", 77);
  } catch (const mii::Error&) {
  }
  return 0;
}
