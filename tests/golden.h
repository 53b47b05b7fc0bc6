#pragma once

#include <boost/json.hpp>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/file.h"
#include "mii/error.h"
#include "weights/safetensors.h"

// The numbers that the reference gave, as tests/data/golden keeps them.

namespace mii {

inline std::filesystem::path golden_folder() { return std::filesystem::path(MII_TEST_DATA) / "golden"; }

/// The reference ran without ftfy, which mends two of the texts: it guesses at one and splits the digraph of
/// another.
inline bool ftfy_changes(std::string_view text) {
  return text.starts_with("mojibake:") || text.find("\u01c5") != std::string_view::npos;
}

class Golden {
 public:
  explicit Golden(const std::string& model)
      : folder_(golden_folder() / model),
        file_(MappedFile::open(folder_ / "expected.safetensors")),
        tensors_(parse_safetensors(file_.bytes(), "expected.safetensors")),
        description_(boost::json::parse(read_text_file(folder_ / "expected.json", 1 << 24)).as_object()) {}

  const std::filesystem::path& folder() const { return folder_; }
  std::filesystem::path tokenizer() const { return folder_ / "language_model" / "clip_tokenizer_4.16.2"; }
  const boost::json::object& description() const { return description_; }

  std::vector<std::string> strings(const char* key) const {
    std::vector<std::string> list;
    for (const auto& value : description_.at(key).as_array()) list.emplace_back(value.as_string());
    return list;
  }

  bool has(const std::string& name) const { return tensors_.tensors.contains(name); }
  const Shape& shape(const std::string& name) const { return stored(name).shape; }

  template <typename T>
  std::vector<T> values(const std::string& name) const {
    const StoredTensor& tensor = stored(name);
    std::vector<T> copy(tensor.data.size() / sizeof(T));
    std::memcpy(copy.data(), tensor.data.data(), tensor.data.size());
    return copy;
  }

  std::vector<std::string> names() const {
    std::vector<std::string> list;
    for (const auto& [name, tensor] : tensors_.tensors) list.push_back(name);
    return list;
  }

 private:
  const StoredTensor& stored(const std::string& name) const {
    const auto found = tensors_.tensors.find(name);
    if (found == tensors_.tensors.end()) throw Error(ErrorCode::invalid_argument, "no golden tensor " + name);
    return found->second;
  }

  std::filesystem::path folder_;
  MappedFile file_;
  Safetensors tensors_;
  boost::json::object description_;
};

}  // namespace mii
