#include "pipeline/vector_formats.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <string_view>
#include <utility>

#include "core/file.h"
#include "core/json_writer.h"
#include "mii/error.h"
#include "pipeline/npy.h"
#include "weights/safetensors.h"

namespace mii::pipeline {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxIndexBytes = 8ull << 30;

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

void write_text(const fs::path& path, const std::string& text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace

fs::path index_of_vectors(fs::path path) { return path += ".index.tsv"; }
fs::path identity_of_vectors(fs::path path) { return path += ".identity.json"; }

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

void write_vectors(const fs::path& path, const std::vector<VectorSource>& sources, size_t dim,
                   const Identity& identity, const std::function<std::vector<float>(size_t)>& row) {
  check_vector_extension(path);
  if (path.extension() == ".safetensors") {
    const Shape shape{static_cast<int64_t>(sources.size()), static_cast<int64_t>(dim)};
    SafetensorsWriter file(path, {{kVectorTensor, DType::f32, shape}}, {{"identity", identity.json()}});
    for (size_t r = 0; r < sources.size(); ++r) {
      const std::vector<float> vector = row(r);
      file.write(std::as_bytes(std::span(vector)));
    }
    file.commit();
  } else {
    const bool npy = path.extension() == ".npy";
    AtomicFile file(path);
    if (npy) file.write(npy_header({sources.size(), dim}));
    for (size_t r = 0; r < sources.size(); ++r) {
      const std::vector<float> vector = row(r);
      npy ? file.write(std::as_bytes(std::span(vector))) : file.write(jsonl_line(sources[r].input, vector));
    }
    file.commit();
  }
  std::string index = "row\tinput\tbytes\tmodified\n";
  for (size_t r = 0; r < sources.size(); ++r)
    index += std::to_string(r) + '\t' + index_line(sources[r]) + '\n';
  write_text(index_of_vectors(path), index);
  write_text(identity_of_vectors(path), identity.json() + "\n");
}

}  // namespace mii::pipeline
