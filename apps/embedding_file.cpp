#include "embedding_file.h"

#include <boost/json.hpp>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "core/file.h"
#include "core/number_text.h"
#include "mii/error.h"
#include "weights/safetensors.h"

namespace mii {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxIndexBytes = 8ull << 30;

fs::path with_suffix(fs::path path, const char* suffix) { return path += suffix; }

// One line of an index: tabs, line breaks and backslashes are written as \t, \n, \r and \\.
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

// Complete lines only: the last one may have been cut off.
std::vector<std::string> lines_of(const fs::path& path) {
  std::vector<std::string> lines;
  if (!fs::exists(path)) return lines;
  const std::string text = read_text_file(path, kMaxIndexBytes);
  for (size_t begin = 0, end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1)
    lines.push_back(text.substr(begin, end - begin));
  return lines;
}

Matrix matrix_from(std::span<const std::byte> data, size_t rows, size_t cols, const fs::path& path) {
  if (cols == 0 || data.size() / sizeof(float) / cols != rows || data.size() != rows * cols * sizeof(float))
    throw Error(ErrorCode::io, path.string() + ": its size does not fit its header; it cannot be resumed");
  Matrix matrix(rows, cols);
  std::memcpy(matrix.values().data(), data.data(), data.size());
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
  const size_t shape = text.find("(");
  const size_t end = text.find('\n', 10);
  const bool readable =
      text.starts_with(std::string_view("\x93NUMPY\x01\x00", 8)) &&
      text.find("'<f4'") != std::string_view::npos && shape != std::string_view::npos &&
      end != std::string_view::npos &&
      std::sscanf(std::string(text.substr(shape)).c_str(), "(%llu, %llu)", &rows, &cols) == 2;
  if (!readable)
    throw Error(ErrorCode::io,
                path.string() + ": not a float32 matrix as this program writes it; it cannot be resumed");
  return matrix_from(bytes.subspan(end + 1), rows, cols, path);
}

Matrix read_safetensors(const fs::path& path) {
  const MappedFile file = MappedFile::open(path);
  const Safetensors parsed = parse_safetensors(file.bytes(), path.string());
  const auto found = parsed.tensors.find("embeddings");
  if (found == parsed.tensors.end() || found->second.dtype != "F32" || found->second.shape.size() != 2)
    throw Error(ErrorCode::io, path.string() + ": no float32 matrix 'embeddings'; it cannot be resumed");
  const Shape& shape = found->second.shape;
  return matrix_from(found->second.data, static_cast<size_t>(shape[0]), static_cast<size_t>(shape[1]), path);
}

Matrix read_jsonl(const fs::path& path, size_t dim) {
  const std::vector<std::string> lines = lines_of(path);
  Matrix matrix(lines.size(), dim);
  for (size_t r = 0; r < lines.size(); ++r) {
    boost::json::error_code error;
    const boost::json::value value = boost::json::parse(lines[r], error);
    const auto* vector = !error && value.is_object() ? value.get_object().if_contains("embedding") : nullptr;
    if (vector == nullptr || !vector->is_array() || vector->get_array().size() != dim)
      throw Error(ErrorCode::io, path.string() + ":" + std::to_string(r + 1) + ": no embedding of " +
                                     std::to_string(dim) + " values; it cannot be resumed");
    for (size_t d = 0; d < dim; ++d) {
      const auto number = vector->get_array()[d].to_number<double>(error);
      if (error)
        throw Error(ErrorCode::io,
                    path.string() + ":" + std::to_string(r + 1) + ": not a number; it cannot be resumed");
      matrix.row(r)[d] = static_cast<float>(number);
    }
  }
  return matrix;
}

std::string jsonl_line(const std::string& input, std::span<const float> vector) {
  std::string line = "{\"input\": " + json_text(input) + ", \"embedding\": [";
  for (size_t d = 0; d < vector.size(); ++d) line += (d == 0 ? "" : ", ") + number_text(vector[d]);
  return line + "]}\n";
}

}  // namespace

EmbeddingFile::EmbeddingFile(fs::path path, size_t dim, bool resume)
    : path_(std::move(path)),
      part_(with_suffix(path_, ".part")),
      part_index_(with_suffix(path_, ".part.tsv")),
      dim_(dim) {
  const fs::path extension = path_.extension();
  if (extension != ".npy" && extension != ".safetensors" && extension != ".jsonl")
    throw Error(ErrorCode::invalid_argument,
                path_.string() + ": the output's name must end in .npy, .safetensors or .jsonl");
  if (fs::is_directory(path_)) throw Error(ErrorCode::io, path_.string() + ": is a folder");
  const bool part = resume && take_part();
  const char* mode = part ? "ab" : "wb";
  rows_file_.reset(std::fopen(part_.c_str(), mode));
  if (rows_file_) index_file_.reset(std::fopen(part_index_.c_str(), mode));
  if (!index_file_)
    throw Error(ErrorCode::io, part_.string() + ": cannot be written: " + std::strerror(errno));
  if (resume && !part && fs::exists(path_)) take_finished();
}

bool EmbeddingFile::take_part() {
  if (!fs::exists(part_)) return false;
  std::vector<std::string> lines = lines_of(part_index_);
  if (lines.empty()) return false;  // stopped before the first row
  const std::string model = "dim " + std::to_string(dim_);
  if (lines[0] != model)
    throw Error(
        ErrorCode::io,
        part_.string() + ": was begun with a model of another size; remove it, or leave out --resume");
  const size_t rows = std::min<size_t>(lines.size() - 1, fs::file_size(part_) / (dim_ * sizeof(float)));
  uint64_t index_bytes = model.size() + 1;
  for (size_t r = 0; r < rows; ++r) {
    row_of_[unescaped(lines[r + 1])] = r;
    index_bytes += lines[r + 1].size() + 1;
  }
  part_rows_ = rows;
  fs::resize_file(part_, rows * dim_ * sizeof(float));
  fs::resize_file(part_index_, index_bytes);
  return true;
}

void EmbeddingFile::take_finished() {
  const Matrix vectors = path_.extension() == ".npy"           ? read_npy(path_)
                         : path_.extension() == ".safetensors" ? read_safetensors(path_)
                                                               : read_jsonl(path_, dim_);
  const std::vector<std::string> lines = lines_of(with_suffix(path_, ".index.tsv"));
  if (lines.size() != vectors.rows() + 1)
    throw Error(ErrorCode::io,
                path_.string() + ": its index does not have a line for each row; it cannot be resumed");
  if (vectors.rows() != 0 && vectors.cols() != dim_)
    throw Error(ErrorCode::io, path_.string() + ": holds vectors of " + std::to_string(vectors.cols()) +
                                   " values, this model gives " + std::to_string(dim_));
  for (size_t r = 0; r < vectors.rows(); ++r) {
    const size_t tab = lines[r + 1].find('\t');
    append_row(unescaped(std::string_view(lines[r + 1]).substr(tab == std::string::npos ? 0 : tab + 1)),
               vectors.row(r));
  }
  flush();
}

void EmbeddingFile::append_row(const std::string& input, std::span<const float> vector) {
  if (part_rows_ == 0) std::fprintf(index_file_.get(), "dim %zu\n", dim_);
  std::fwrite(vector.data(), sizeof(float), vector.size(), rows_file_.get());
  const std::string line = escaped(input) + '\n';
  std::fwrite(line.data(), 1, line.size(), index_file_.get());
  row_of_[input] = part_rows_++;
}

void EmbeddingFile::flush() {
  const bool written = std::fflush(rows_file_.get()) == 0 && std::fflush(index_file_.get()) == 0 &&
                       std::ferror(rows_file_.get()) == 0 && std::ferror(index_file_.get()) == 0;
  if (!written)
    throw Error(ErrorCode::io, part_.string() + ": cannot be written: " + std::strerror(errno) +
                                   "; --resume keeps the rows before this");
}

void EmbeddingFile::append(const std::vector<std::string>& inputs, const Matrix& vectors) {
  for (size_t r = 0; r < inputs.size(); ++r) append_row(inputs[r], vectors.row(r));
  flush();
}

size_t EmbeddingFile::finish(const std::vector<std::string>& order) {
  std::vector<std::string> inputs;
  for (const std::string& input : order)
    if (has(input)) inputs.push_back(input);
  flush();
  const std::optional<MappedFile> mapped =
      part_rows_ == 0 ? std::nullopt : std::optional(MappedFile::open(part_));
  const auto row = [&](const std::string& input) {
    return mapped->bytes().subspan(row_of_.at(input) * dim_ * sizeof(float), dim_ * sizeof(float));
  };
  if (path_.extension() == ".safetensors") {
    SafetensorsWriter file(
        path_,
        {{"embeddings", DType::f32, {static_cast<int64_t>(inputs.size()), static_cast<int64_t>(dim_)}}});
    for (const std::string& input : inputs) file.write(row(input));
    file.commit();
  } else {
    AtomicFile file(path_);
    if (path_.extension() == ".npy") file.write(npy_header(inputs.size(), dim_));
    std::vector<float> vector(dim_);
    for (const std::string& input : inputs) {
      std::memcpy(vector.data(), row(input).data(), dim_ * sizeof(float));
      if (path_.extension() == ".npy")
        file.write(std::as_bytes(std::span(vector)));
      else
        file.write(jsonl_line(input, vector));
    }
    file.commit();
  }
  AtomicFile index(with_suffix(path_, ".index.tsv"));
  index.write("row\tinput\n");
  for (size_t r = 0; r < inputs.size(); ++r)
    index.write(std::to_string(r) + "\t" + escaped(inputs[r]) + "\n");
  index.commit();
  fs::remove(part_);
  fs::remove(part_index_);
  return inputs.size();
}

}  // namespace mii
