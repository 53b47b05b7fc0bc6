#include "weights/safetensors.h"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <boost/json/basic_parser_impl.hpp>
#include <cstring>
#include <set>
#include <utility>

#include "mii/error.h"

namespace mii {
namespace {

namespace json = boost::json;

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // as the format's own implementation

[[noreturn]] void fail(std::string_view file_name, const std::string& what) {
  throw Error(ErrorCode::corrupt_weights, std::string(file_name) + ": " + what);
}

struct KnownType {
  const char* name;
  uint64_t bytes;
};
constexpr std::array<KnownType, 14> kTypes{{{"F64", 8},
                                            {"F32", 4},
                                            {"F16", 2},
                                            {"BF16", 2},
                                            {"F8_E4M3", 1},
                                            {"F8_E5M2", 1},
                                            {"I64", 8},
                                            {"I32", 4},
                                            {"I16", 2},
                                            {"I8", 1},
                                            {"U64", 8},
                                            {"U32", 4},
                                            {"U8", 1},
                                            {"BOOL", 1}}};
constexpr std::array<std::pair<const char*, DType>, 7> kComputed{{{"F32", DType::f32},
                                                                  {"F16", DType::f16},
                                                                  {"BF16", DType::bf16},
                                                                  {"F64", DType::f64},
                                                                  {"I64", DType::i64},
                                                                  {"I32", DType::i32},
                                                                  {"U8", DType::u8}}};

// Walks JSON and remembers the first name that an object has twice: the tree would keep only the last
// silently.
class DuplicateFinder {
 public:
  static constexpr size_t max_object_size = SIZE_MAX;
  static constexpr size_t max_array_size = SIZE_MAX;
  static constexpr size_t max_key_size = SIZE_MAX;
  static constexpr size_t max_string_size = SIZE_MAX;

  std::string duplicate;

  bool on_object_begin(json::error_code&) { return names_.emplace_back(), true; }
  bool on_object_end(size_t, json::error_code&) { return names_.pop_back(), true; }
  bool on_key_part(json::string_view part, size_t, json::error_code&) {
    return key_.append(part.data(), part.size()), true;
  }
  bool on_key(json::string_view part, size_t, json::error_code&) {
    key_.append(part.data(), part.size());
    if (!names_.back().insert(key_).second && duplicate.empty()) duplicate = key_;
    key_.clear();
    return true;
  }
  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_array_begin(json::error_code&) { return true; }
  bool on_array_end(size_t, json::error_code&) { return true; }
  bool on_string_part(json::string_view, size_t, json::error_code&) { return true; }
  bool on_string(json::string_view, size_t, json::error_code&) { return true; }
  bool on_number_part(json::string_view, json::error_code&) { return true; }
  bool on_int64(int64_t, json::string_view, json::error_code&) { return true; }
  bool on_uint64(uint64_t, json::string_view, json::error_code&) { return true; }
  bool on_double(double, json::string_view, json::error_code&) { return true; }
  bool on_bool(bool, json::error_code&) { return true; }
  bool on_null(json::error_code&) { return true; }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }

 private:
  std::vector<std::set<std::string>> names_;
  std::string key_;
};

json::object parse_header(std::string_view text, std::string_view file_name) {
  json::error_code error;
  json::value value = json::parse({text.data(), text.size()}, error, {}, {.max_depth = 8});
  if (error) fail(file_name, "the header is not valid JSON: " + error.message());
  if (!value.is_object()) fail(file_name, "the header is not a JSON object");
  json::basic_parser<DuplicateFinder> finder({.max_depth = 8});
  finder.write_some(false, text.data(), text.size(), error);
  if (const std::string& name = finder.handler().duplicate; !name.empty())
    fail(file_name, "the header names '" + name + "' twice");
  return std::move(value.as_object());
}

uint64_t bytes_of_type(std::string_view dtype, const std::string& where, std::string_view file_name) {
  for (const KnownType& type : kTypes)
    if (dtype == type.name) return type.bytes;
  fail(file_name, where + " has the unknown dtype '" + std::string(dtype.substr(0, 40)) + "'");
}

uint64_t as_size(const json::value& value, const std::string& where, std::string_view file_name) {
  if (value.is_uint64()) return value.get_uint64();
  if (value.is_int64() && value.get_int64() >= 0) return static_cast<uint64_t>(value.get_int64());
  fail(file_name, where + " has a size or offset that is not a non-negative whole number");
}

const json::array& array_member(const json::object& object, const char* key, const std::string& where,
                                std::string_view file_name) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr || !value->is_array()) fail(file_name, where + " has no list '" + key + "'");
  return value->get_array();
}

StoredTensor read_entry(const std::string& name, const json::value& value, std::span<const std::byte> data,
                        std::string_view file_name) {
  const std::string where = "tensor '" + name + "'";
  if (!value.is_object()) fail(file_name, where + " is not described by an object");
  const json::object& object = value.get_object();
  const json::value* dtype = object.if_contains("dtype");
  if (dtype == nullptr || !dtype->is_string()) fail(file_name, where + " has no text 'dtype'");

  StoredTensor tensor{std::string(dtype->get_string()), {}, {}};
  uint64_t bytes = bytes_of_type(tensor.dtype, where, file_name);
  for (const json::value& size : array_member(object, "shape", where, file_name)) {
    const uint64_t n = as_size(size, where, file_name);
    if (n > static_cast<uint64_t>(INT64_MAX) || __builtin_mul_overflow(bytes, n, &bytes))
      fail(file_name, where + " has a shape whose size overflows");
    tensor.shape.push_back(static_cast<int64_t>(n));
  }

  const json::array& offsets = array_member(object, "data_offsets", where, file_name);
  if (offsets.size() != 2)
    fail(file_name, where + " has " + std::to_string(offsets.size()) + " data_offsets, expected 2");
  const uint64_t begin = as_size(offsets[0], where, file_name);
  const uint64_t end = as_size(offsets[1], where, file_name);
  if (begin > end || end > data.size())
    fail(file_name, where + " lies at bytes " + std::to_string(begin) + " to " + std::to_string(end) +
                        ", but the file has " + std::to_string(data.size()) +
                        " bytes of data (is it truncated?)");
  if (end - begin != bytes)
    fail(file_name, where + " has " + std::to_string(end - begin) + " bytes, but " + tensor.dtype + " " +
                        to_string(tensor.shape) + " needs " + std::to_string(bytes));
  tensor.data = data.subspan(begin, bytes);
  return tensor;
}

void expect_cover(const Safetensors& file, std::span<const std::byte> data, std::string_view file_name) {
  std::vector<std::pair<std::span<const std::byte>, const std::string*>> parts;
  for (const auto& [name, tensor] : file.tensors) parts.emplace_back(tensor.data, &name);
  std::sort(parts.begin(), parts.end(), [](const auto& a, const auto& b) {
    return std::pair(a.first.data(), a.first.size()) < std::pair(b.first.data(), b.first.size());
  });
  const std::byte* at = data.data();
  for (const auto& [bytes, name] : parts) {
    if (bytes.data() < at) fail(file_name, "tensor '" + *name + "' overlaps the one before it");
    if (bytes.data() > at) fail(file_name, "there is a hole before tensor '" + *name + "'");
    at += bytes.size();
  }
  if (at != data.data() + data.size())
    fail(file_name, std::to_string(data.data() + data.size() - at) + " bytes follow the last tensor");
}

void read_metadata(const json::value& value, Safetensors& file, std::string_view file_name) {
  if (!value.is_object()) fail(file_name, "'__metadata__' is not an object");
  for (const auto& [key, text] : value.get_object()) {
    if (!text.is_string()) fail(file_name, "'__metadata__' holds something that is not a text");
    file.metadata.emplace(std::string(key), std::string(text.get_string()));
  }
}

json::object describe(const std::vector<SafetensorsWriter::Entry>& entries,
                      const std::map<std::string, std::string>& metadata, uint64_t& total) {
  json::object header;
  if (!metadata.empty()) {
    json::object& object = header["__metadata__"].emplace_object();
    for (const auto& [key, value] : metadata) object[key] = value;
  }
  for (const auto& entry : entries) {
    const uint64_t bytes = static_cast<uint64_t>(element_count(entry.shape)) * size_of(entry.dtype);
    header[entry.name] = {{"dtype", to_string(entry.dtype)},
                          {"shape", json::array(entry.shape.begin(), entry.shape.end())},
                          {"data_offsets", {total, total + bytes}}};
    total += bytes;
  }
  return header;
}

}  // namespace

TensorView StoredTensor::view(std::string_view name, std::string_view file_name) const {
  for (const auto& [known, computed] : kComputed)
    if (dtype == known) return {data.data(), computed, shape};
  fail(file_name, "tensor '" + std::string(name) + "' has dtype " + dtype + ", which is not supported");
}

Safetensors parse_safetensors(std::span<const std::byte> bytes, std::string_view file_name) {
  uint64_t length = 0;
  if (bytes.size() < sizeof(length))
    fail(file_name, "has " + std::to_string(bytes.size()) + " bytes, too few for a safetensors file");
  std::memcpy(&length, bytes.data(), sizeof(length));  // little-endian, as every machine that we build for
  if (length > kMaxHeaderBytes || length > bytes.size() - sizeof(length))
    fail(file_name, "is no safetensors file, or is truncated: it announces a header of " +
                        std::to_string(length) + " bytes");
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + sizeof(length), length);
  const auto data = bytes.subspan(sizeof(length) + length);

  Safetensors file;
  for (const auto& [key, value] : parse_header(text, file_name)) {
    if (key == "__metadata__") {
      read_metadata(value, file, file_name);
    } else {
      const std::string name(key);
      file.tensors.emplace(name, read_entry(name, value, data, file_name));
    }
  }
  expect_cover(file, data, file_name);
  return file;
}

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path, const std::vector<Entry>& entries,
                                     const std::map<std::string, std::string>& metadata)
    : file_(path) {
  std::string header = json::serialize(describe(entries, metadata, missing_bytes_));
  header.resize((header.size() + 7) / 8 * 8, ' ');  // so that the data are aligned
  const uint64_t length = header.size();
  file_.write(std::as_bytes(std::span(&length, 1)));
  file_.write(header);
}

void SafetensorsWriter::write(std::span<const std::byte> bytes) {
  if (bytes.size() > missing_bytes_)
    throw Error(ErrorCode::internal, "more tensor data than the header announces");
  file_.write(bytes);
  missing_bytes_ -= bytes.size();
}

void SafetensorsWriter::commit() {
  if (missing_bytes_ != 0) throw Error(ErrorCode::internal, "less tensor data than the header announces");
  file_.commit();
}

}  // namespace mii
