#include "pipeline/vector_formats.h"

#include <boost/json.hpp>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <utility>

#include "core/file.h"
#include "core/json_writer.h"
#include "mii/error.h"
#include "weights/safetensors.h"

namespace mii::pipeline {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxIndexBytes = 8ull << 30;
constexpr uint64_t kMaxIdentityBytes = 1 << 16;
constexpr const char* kTensor = "embeddings";

fs::path index_of(fs::path path) { return path += ".index.tsv"; }
fs::path identity_of(fs::path path) { return path += ".identity.json"; }

// Tabs, line breaks and backslashes are written as \t, \n, \r and \\.
std::string escaped(const std::string& text) {
  std::string line;
  for (const char c : text) {
    if (c == '\\')
      line += "\\\\";
    else if (c == '\t')
      line += "\\t";
    else if (c == '\n')
      line += "\\n";
    else if (c == '\r')
      line += "\\r";
    else
      line += c;
  }
  return line;
}

std::string unescaped(std::string_view line) {
  std::string text;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] != '\\' || i + 1 == line.size()) {
      text += line[i];
      continue;
    }
    const char c = line[++i];
    text += c == 't' ? '\t' : c == 'n' ? '\n' : c == 'r' ? '\r' : c;
  }
  return text;
}

[[noreturn]] void refuse(const fs::path& path, const std::string& what) {
  throw Error(ErrorCode::io, path.string() + ": " + what);
}

Matrix matrix_from(std::span<const std::byte> data, size_t rows, size_t cols, const fs::path& path) {
  if (cols == 0 || data.size() / sizeof(float) / cols != rows || data.size() != rows * cols * sizeof(float))
    refuse(path, "its size does not fit its header");
  Matrix matrix(rows, cols);
  if (!data.empty()) std::memcpy(matrix.values().data(), data.data(), data.size());
  return matrix;
}

std::string npy_header(size_t rows, size_t cols) {
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(rows) + ", " +
                       std::to_string(cols) + "), }";
  constexpr size_t kPrefix = 10, kAlignment = 64;
  header.append(kAlignment - (kPrefix + header.size() + 1) % kAlignment, ' ');
  header += '\n';
  const auto length = static_cast<uint16_t>(header.size());
  return std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(length & 0xFF) +
         static_cast<char>(length >> 8) + header;
}

Matrix read_npy(const fs::path& path) {
  const MappedFile file = MappedFile::open(path);
  const auto bytes = file.bytes();
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()),
                              std::min<size_t>(bytes.size(), 256));
  unsigned long long rows = 0, cols = 0;
  const size_t shape = text.find('(');
  const size_t end = text.find('\n', 10);
  const bool readable =
      text.starts_with(std::string_view("\x93NUMPY\x01\x00", 8)) &&
      text.find("'<f4'") != std::string_view::npos && shape != std::string_view::npos &&
      end != std::string_view::npos &&
      std::sscanf(std::string(text.substr(shape)).c_str(), "(%llu, %llu)", &rows, &cols) == 2;
  if (!readable) refuse(path, "not a float32 matrix as this program writes it");
  return matrix_from(bytes.subspan(end + 1), rows, cols, path);
}

Matrix read_safetensors(const fs::path& path) {
  const MappedFile file = MappedFile::open(path);
  const Safetensors parsed = parse_safetensors(file.bytes(), path.string());
  const auto found = parsed.tensors.find(kTensor);
  if (found == parsed.tensors.end() || found->second.dtype != "F32" || found->second.shape.size() != 2)
    refuse(path, "no float32 matrix 'embeddings'");
  const Shape& shape = found->second.shape;
  return matrix_from(found->second.data, static_cast<size_t>(shape[0]), static_cast<size_t>(shape[1]), path);
}

std::vector<float> read_jsonl_row(const std::string& line, const std::string& where) {
  boost::json::error_code error;
  const boost::json::value value = boost::json::parse(line, error);
  const auto* vector = !error && value.is_object() ? value.get_object().if_contains("embedding") : nullptr;
  if (vector == nullptr || !vector->is_array()) refuse(where, "no list 'embedding'");
  std::vector<float> row;
  for (const boost::json::value& element : vector->get_array()) {
    row.push_back(static_cast<float>(element.to_number<double>(error)));
    if (error) refuse(where, "not a number in 'embedding'");
  }
  return row;
}

Matrix read_jsonl(const fs::path& path) {
  const std::vector<std::string> lines = complete_lines(path);
  Matrix matrix;
  for (size_t r = 0; r < lines.size(); ++r) {
    const std::string where = path.string() + ":" + std::to_string(r + 1);
    const std::vector<float> row = read_jsonl_row(lines[r], where);
    if (r == 0) matrix = Matrix(lines.size(), row.size());
    if (row.size() != matrix.cols())
      refuse(where, "an embedding of " + std::to_string(row.size()) + " values, expected " +
                        std::to_string(matrix.cols()));
    std::ranges::copy(row, matrix.row(r).begin());
  }
  return matrix;
}

std::string jsonl_line(const std::string& input, std::span<const float> vector) {
  JsonWriter json(JsonWriter::Style::spaced);
  return json.begin_object().member("input", input).member("embedding", vector).end_object().finish() + '\n';
}

template <typename Number>
bool read_number(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

// The text up to the next tab, which is taken away with it.
std::string_view next_field(std::string_view& line) {
  const size_t tab = std::min(line.find('\t'), line.size());
  const std::string_view field = line.substr(0, tab);
  line.remove_prefix(std::min(tab + 1, line.size()));
  return field;
}

std::vector<VectorSource> read_index(const fs::path& path) {
  std::vector<VectorSource> sources;
  const std::vector<std::string> lines = complete_lines(path);
  for (size_t i = 1; i < lines.size(); ++i) {
    std::string_view line = lines[i];
    next_field(line);  // the row
    sources.push_back(parse_index_line(line));
  }
  return sources;
}

void write_text(const fs::path& path, const std::string& text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace

std::optional<VectorSource::State> state_of(std::span<const fs::path> files) {
  VectorSource::State state;
  for (const fs::path& file : files) {
    std::error_code error;
    state.bytes += fs::file_size(file, error);
    if (error) return std::nullopt;
    const auto modified = std::chrono::file_clock::to_sys(fs::last_write_time(file, error));
    if (error) return std::nullopt;
    const auto since = std::chrono::duration_cast<std::chrono::nanoseconds>(modified.time_since_epoch());
    state.modified_ns = std::max<int64_t>(state.modified_ns, since.count());
  }
  return state;
}

std::string index_line(const VectorSource& source) {
  std::string line = escaped(source.input) + '\t';
  if (source.state) line += std::to_string(source.state->bytes);
  line += '\t';
  if (source.state) line += std::to_string(source.state->modified_ns);
  return line;
}

VectorSource parse_index_line(std::string_view line) {
  VectorSource source{unescaped(next_field(line)), std::nullopt};
  VectorSource::State state;
  if (read_number(next_field(line), state.bytes) && read_number(next_field(line), state.modified_ns))
    source.state = state;
  return source;
}

std::vector<std::string> complete_lines(const fs::path& path) {
  std::vector<std::string> lines;
  if (!fs::exists(path)) return lines;
  const std::string text = read_text_file(path, kMaxIndexBytes);
  for (size_t begin = 0, end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1)
    lines.push_back(text.substr(begin, end - begin));
  return lines;
}

void check_vector_extension(const fs::path& path) {
  const fs::path extension = path.extension();
  if (extension != ".npy" && extension != ".safetensors" && extension != ".jsonl")
    throw Error(ErrorCode::invalid_argument,
                path.string() + ": the name of a file of vectors must end in .npy, .safetensors or .jsonl");
}

StoredVectors read_vectors(const fs::path& path) {
  check_vector_extension(path);
  StoredVectors stored;
  stored.vectors = path.extension() == ".npy"           ? read_npy(path)
                   : path.extension() == ".safetensors" ? read_safetensors(path)
                                                        : read_jsonl(path);
  stored.sources = read_index(index_of(path));
  if (stored.sources.size() != stored.vectors.rows())
    refuse(path, "has " + std::to_string(stored.vectors.rows()) + " rows, and its index " +
                     std::to_string(stored.sources.size()) + " lines");
  if (fs::exists(identity_of(path)))
    stored.identity = Identity::parse(read_text_file(identity_of(path), kMaxIdentityBytes));
  return stored;
}

void write_vectors(const fs::path& path, const std::vector<VectorSource>& sources, size_t dim,
                   const Identity& identity, const std::function<std::vector<float>(size_t)>& row) {
  check_vector_extension(path);
  if (path.extension() == ".safetensors") {
    const Shape shape{static_cast<int64_t>(sources.size()), static_cast<int64_t>(dim)};
    SafetensorsWriter file(path, {{kTensor, DType::f32, shape}}, {{"identity", identity.json()}});
    for (size_t r = 0; r < sources.size(); ++r) {
      const std::vector<float> vector = row(r);
      file.write(std::as_bytes(std::span(vector)));
    }
    file.commit();
  } else {
    const bool npy = path.extension() == ".npy";
    AtomicFile file(path);
    if (npy) file.write(npy_header(sources.size(), dim));
    for (size_t r = 0; r < sources.size(); ++r) {
      const std::vector<float> vector = row(r);
      npy ? file.write(std::as_bytes(std::span(vector))) : file.write(jsonl_line(sources[r].input, vector));
    }
    file.commit();
  }
  std::string index = "row\tinput\tbytes\tmodified\n";
  for (size_t r = 0; r < sources.size(); ++r)
    index += std::to_string(r) + '\t' + index_line(sources[r]) + '\n';
  write_text(index_of(path), index);
  write_text(identity_of(path), identity.json() + "\n");
}

}  // namespace mii::pipeline
