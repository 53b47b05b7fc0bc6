#include "weights/safetensors.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "core/bytes.h"
#include "core/json_writer.h"
#include "core/utf8.h"
#include "mii/error.h"

namespace mii {
namespace {

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the limit of the format's own implementation

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
constexpr std::array<std::pair<const char*, DType>, 8> kComputed{{{"F32", DType::f32},
                                                                  {"F16", DType::f16},
                                                                  {"BF16", DType::bf16},
                                                                  {"F64", DType::f64},
                                                                  {"I64", DType::i64},
                                                                  {"I32", DType::i32},
                                                                  {"U8", DType::u8},
                                                                  {"I8", DType::i8}}};

// Reads strictly the one kind of JSON that a header may be. A header is read before anything in the file is
// trusted, and the trainer reads it on machines that have no JSON library.
class HeaderReader {
 public:
  HeaderReader(std::string_view text, std::string_view file_name) : text_(text), file_name_(file_name) {}

  // Calls member(key) for each member of the object that comes next; `member` reads the value.
  template <typename Member>
  void object(const std::string& what, const Member& member) {
    expect('{', what);
    if (take('}')) return;
    std::set<std::string> names;
    do {
      std::string key = string("a name in " + what);
      if (!names.insert(key).second) fail(file_name_, what + " names '" + key + "' twice");
      expect(':', what);
      member(key);
    } while (take(','));
    expect('}', what);
  }

  std::string string(const std::string& what) {
    expect('"', what);
    std::string text;
    while (at_ < text_.size() && text_[at_] != '"') {
      const char c = text_[at_++];
      if (static_cast<unsigned char>(c) < 0x20) broken(what + " (control character)");
      if (c == '\\') {
        append_escaped(text, what);
      } else {
        text += c;
      }
    }
    if (at_ == text_.size()) broken(what + " (no closing quote)");
    ++at_;
    return text;
  }

  std::vector<uint64_t> sizes(const std::string& what) {
    expect('[', what);
    std::vector<uint64_t> values;
    if (take(']')) return values;
    do {
      values.push_back(size(what));
    } while (take(','));
    expect(']', what);
    return values;
  }

  void end() {
    skip_space();
    if (at_ != text_.size()) broken("its end");
  }

 private:
  [[noreturn]] void broken(const std::string& what) const {
    fail(file_name_, "the header is not valid at byte " + std::to_string(at_) + ": expected " + what);
  }

  void skip_space() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos)
      ++at_;
  }

  bool take(char c) {
    skip_space();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  void expect(char c, const std::string& what) {
    if (!take(c)) broken(what + ", '" + c + "'");
  }

  uint64_t size(const std::string& what) {
    skip_space();
    uint64_t value = 0;
    const char* begin = text_.data() + at_;
    const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), value);
    if (error != std::errc{} || (end - begin > 1 && *begin == '0'))
      broken(what + ", a size or offset that is a non-negative whole number");
    at_ += static_cast<size_t>(end - begin);
    return value;
  }

  uint32_t hex4(const std::string& what) {
    uint32_t value = 0;
    const char* begin = text_.data() + at_;
    if (text_.size() - at_ < 4 || std::from_chars(begin, begin + 4, value, 16).ptr != begin + 4)
      broken(what + " (four hexadecimal digits)");
    at_ += 4;
    return value;
  }

  void append_escaped(std::string& text, const std::string& what) {
    constexpr std::string_view kNames = "\"\\/bfnrt";
    constexpr std::string_view kMeant = "\"\\/\b\f\n\r\t";
    const char c = at_ < text_.size() ? text_[at_++] : '\0';
    if (const size_t i = kNames.find(c); i != std::string_view::npos) {
      text += kMeant[i];
      return;
    }
    if (c != 'u') broken(what + " (unknown escape)");
    uint32_t code = hex4(what);
    if (code >= 0xD800 && code < 0xE000) {
      const bool pair = code < 0xDC00 && text_.substr(at_, 2) == "\\u";
      if (pair) at_ += 2;
      const uint32_t low = pair ? hex4(what) : 0;
      if (low < 0xDC00 || low >= 0xE000) broken(what + " (half of a surrogate pair)");
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    append_utf8(text, code);
  }

  std::string_view text_;
  std::string_view file_name_;
  size_t at_ = 0;
};

uint64_t bytes_of_type(std::string_view dtype, const std::string& where, std::string_view file_name) {
  for (const KnownType& type : kTypes)
    if (dtype == type.name) return type.bytes;
  fail(file_name, where + " has the unknown dtype '" + std::string(dtype.substr(0, 40)) + "'");
}

// Where the tensors' data lie in the file.
struct DataPart {
  uint64_t offset = 0;
  uint64_t bytes = 0;
};

StoredTensor read_entry(HeaderReader& reader, const std::string& name, const DataPart& data,
                        std::string_view file_name) {
  const std::string where = "tensor '" + name + "'";
  std::optional<std::string> dtype;
  std::optional<std::vector<uint64_t>> shape, offsets;
  reader.object(where, [&](const std::string& key) {
    if (key == "dtype") {
      dtype = reader.string("the text 'dtype' of " + where);
    } else if (key == "shape") {
      shape = reader.sizes("the list 'shape' of " + where);
    } else if (key == "data_offsets") {
      offsets = reader.sizes("the list 'data_offsets' of " + where);
    } else {
      fail(file_name, where + " has the unknown member '" + key + "'");
    }
  });
  if (!dtype) fail(file_name, where + " has no text 'dtype'");
  if (!shape) fail(file_name, where + " has no list 'shape'");
  if (!offsets) fail(file_name, where + " has no list 'data_offsets'");

  StoredTensor tensor{.dtype = *dtype};
  uint64_t bytes = bytes_of_type(tensor.dtype, where, file_name);
  for (const uint64_t n : *shape) {
    if (n > static_cast<uint64_t>(INT64_MAX) || __builtin_mul_overflow(bytes, n, &bytes))
      fail(file_name, where + " has a shape whose size overflows");
    tensor.shape.push_back(static_cast<int64_t>(n));
  }

  if (offsets->size() != 2)
    fail(file_name, where + " has " + std::to_string(offsets->size()) + " data_offsets, expected 2");
  const uint64_t begin = offsets->front();
  const uint64_t end = offsets->back();
  if (begin > end || end > data.bytes)
    fail(file_name, where + " lies at bytes " + std::to_string(begin) + " to " + std::to_string(end) +
                        ", but the file has " + std::to_string(data.bytes) +
                        " bytes of data (is it truncated?)");
  if (end - begin != bytes)
    fail(file_name, where + " has " + std::to_string(end - begin) + " bytes, but " + tensor.dtype + " " +
                        to_string(tensor.shape) + " needs " + std::to_string(bytes));
  tensor.offset = data.offset + begin;
  tensor.bytes = bytes;
  return tensor;
}

void expect_cover(const Safetensors& file, const DataPart& data, std::string_view file_name) {
  std::vector<std::tuple<uint64_t, uint64_t, const std::string*>> parts;
  for (const auto& [name, tensor] : file.tensors) parts.emplace_back(tensor.offset, tensor.bytes, &name);
  std::sort(parts.begin(), parts.end());
  uint64_t at = data.offset;
  for (const auto& [offset, bytes, name] : parts) {
    if (offset < at) fail(file_name, "tensor '" + *name + "' overlaps the one before it");
    if (offset > at) fail(file_name, "there is a hole before tensor '" + *name + "'");
    at += bytes;
  }
  const uint64_t end = data.offset + data.bytes;
  if (at != end) fail(file_name, std::to_string(end - at) + " bytes follow the last tensor");
}

uint64_t header_length(std::span<const std::byte> start, uint64_t file_bytes, std::string_view file_name) {
  if (start.size() < sizeof(uint64_t))
    fail(file_name, "has " + std::to_string(start.size()) + " bytes, too few for a safetensors file");
  const auto length = load_le<uint64_t>(start.data());
  if (length > kMaxHeaderBytes || length > file_bytes - sizeof(length))
    fail(file_name, "is no safetensors file, or is truncated: it announces a header of " +
                        std::to_string(length) + " bytes");
  return length;
}

Safetensors parse_header(std::string_view text, uint64_t file_bytes, std::string_view file_name) {
  const uint64_t start = sizeof(uint64_t) + text.size();
  const DataPart data{start, file_bytes - start};
  Safetensors file;
  HeaderReader reader(text, file_name);
  reader.object("the header", [&](const std::string& name) {
    if (name == "__metadata__") {
      reader.object("'__metadata__'", [&](const std::string& key) {
        file.metadata.emplace(key, reader.string("a text in '__metadata__'"));
      });
    } else {
      file.tensors.emplace(name, read_entry(reader, name, data, file_name));
    }
  });
  reader.end();
  expect_cover(file, data, file_name);
  return file;
}

std::string describe(const std::vector<SafetensorsWriter::Entry>& entries,
                     const std::map<std::string, std::string>& metadata, uint64_t& total) {
  JsonWriter json(JsonWriter::Style::compact);
  json.begin_object();
  if (!metadata.empty()) {
    json.key("__metadata__").begin_object();
    for (const auto& [key, value] : metadata) json.member(key, value);
    json.end_object();
  }
  for (const auto& entry : entries) {
    const uint64_t bytes = static_cast<uint64_t>(element_count(entry.shape)) * size_of(entry.dtype);
    json.key(entry.name).begin_object();
    json.member("dtype", to_string(entry.dtype)).member("shape", entry.shape);
    json.member("data_offsets", std::array{total, total + bytes}).end_object();
    total += bytes;
  }
  return json.end_object().finish();
}

}  // namespace

TensorView StoredTensor::view(std::string_view name, std::string_view file_name) const {
  for (const auto& [known, computed] : kComputed)
    if (dtype == known) return {data.data(), computed, shape};
  fail(file_name, "tensor '" + std::string(name) + "' has dtype " + dtype + ", which is not supported");
}

Safetensors parse_safetensors(std::span<const std::byte> bytes, std::string_view file_name) {
  const uint64_t length = header_length(bytes, bytes.size(), file_name);
  const auto header = bytes.subspan(sizeof(length), length);
  Safetensors file =
      parse_header({reinterpret_cast<const char*>(header.data()), header.size()}, bytes.size(), file_name);
  for (auto& [name, tensor] : file.tensors) tensor.data = bytes.subspan(tensor.offset, tensor.bytes);
  return file;
}

Safetensors read_safetensors_header(const WeightsFile& file, std::string_view file_name) {
  std::array<std::byte, sizeof(uint64_t)> start{};
  const auto part = std::span(start).first(std::min<uint64_t>(start.size(), file.bytes()));
  file.read(0, part);
  std::string header(header_length(part, file.bytes(), file_name), '\0');
  file.read(start.size(), std::as_writable_bytes(std::span(header)));
  return parse_header(header, file.bytes(), file_name);
}

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path, const std::vector<Entry>& entries,
                                     const std::map<std::string, std::string>& metadata)
    : file_(path) {
  std::string header = describe(entries, metadata, missing_bytes_);
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
