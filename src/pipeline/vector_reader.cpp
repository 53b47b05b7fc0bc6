#include "pipeline/vector_reader.h"

#include <algorithm>
#include <array>
#include <bit>
#include <boost/json.hpp>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "core/file.h"
#include "mii/error.h"
#include "search/codes.h"
#include "weights/safetensors.h"

namespace mii::pipeline {
namespace {

namespace fs = std::filesystem;
using search::kMaxDim;

constexpr uint64_t kMaxIdentityBytes = 1 << 16;
constexpr size_t kMaxLineBytes = 16 << 20;

[[noreturn]] void refuse(const fs::path& path, const std::string& what) {
  throw Error(ErrorCode::io, path.string() + ": " + what);
}

std::ifstream open_file(const fs::path& path, uint64_t begin = 0) {
  std::ifstream file(path, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(begin));
  if (!file) refuse(path, std::string("cannot be read: ") + std::strerror(errno));
  return file;
}

// Where a file has its values.
struct Layout {
  uint64_t begin = 0;
  size_t rows = 0;
  size_t dim = 0;
};

Layout npy_layout(const fs::path& path) {
  const std::vector<std::byte> start = read_start(path, 256);
  const std::string_view text(reinterpret_cast<const char*>(start.data()), start.size());
  unsigned long long rows = 0, dim = 0;
  const size_t shape = text.find('(');
  const size_t end = text.find('\n', 10);
  const bool readable =
      text.starts_with(std::string_view("\x93NUMPY\x01\x00", 8)) &&
      text.find("'<f4'") != std::string_view::npos &&
      text.find("'fortran_order': False") != std::string_view::npos && shape != std::string_view::npos &&
      end != std::string_view::npos &&
      std::sscanf(std::string(text.substr(shape)).c_str(), "(%llu, %llu)", &rows, &dim) == 2;
  if (!readable) refuse(path, "not a float32 matrix as this program writes it");
  const uint64_t bytes = fs::file_size(path) - (end + 1);
  if (dim == 0 || bytes / sizeof(float) / dim != rows || bytes != rows * dim * sizeof(float))
    refuse(path, "its size does not fit its header");
  return {end + 1, rows, dim};
}

Layout safetensors_layout(const fs::path& path) {
  const Safetensors parsed = read_safetensors_header(WeightsFile::open(path), path.string());
  const auto found = parsed.tensors.find(kVectorTensor);
  if (found == parsed.tensors.end() || found->second.dtype != "F32" || found->second.shape.size() != 2 ||
      found->second.shape[1] == 0)
    refuse(path, "no float32 matrix 'embeddings'");
  const Shape& shape = found->second.shape;
  return {found->second.offset, static_cast<size_t>(shape[0]), static_cast<size_t>(shape[1])};
}

std::vector<float> parse_json_row(std::string_view line, const std::string& where) {
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

// All of them are looked at, without a branch: that is faster.
bool is_finite(std::span<const float> values) {
  constexpr uint32_t kMagnitude = 0x7FFF'FFFF, kInfinity = 0x7F80'0000;
  uint32_t largest = 0;
  for (const float value : values) largest = std::max(largest, std::bit_cast<uint32_t>(value) & kMagnitude);
  return largest < kInfinity;
}

}  // namespace

// The lines of a text file, one after another.
class VectorReader::Lines {
 public:
  explicit Lines(const fs::path& path) : path_(path), file_(open_file(path)) {}

  static size_t count(const fs::path& path) {
    Lines lines(path);
    while (lines.next()) continue;
    return lines.read_;
  }

  /// Valid until the next call. Nullopt at the end; a last line that was cut off is none.
  std::optional<std::string_view> next() {
    line_.clear();
    for (bool complete = false; !complete;) {
      file_.getline(piece_.data(), static_cast<std::streamsize>(piece_.size()));
      if (file_.bad()) refuse(path_, "cannot be read behind line " + std::to_string(read_));
      if (file_.eof()) return std::nullopt;
      complete = !file_.fail();  // else the line is longer than the piece
      line_.append(piece_.data(), static_cast<size_t>(file_.gcount()) - (complete ? 1 : 0));
      if (line_.size() > kMaxLineBytes)
        refuse(path_, "line " + std::to_string(read_ + 1) + " has more than " +
                          std::to_string(kMaxLineBytes) + " bytes");
      if (!complete) file_.clear();
    }
    ++read_;
    return line_;
  }

  /// One that was counted before.
  std::string_view expect() {
    const auto line = next();
    if (!line)
      refuse(path_, "became shorter while it was read: there is no line " + std::to_string(read_ + 1));
    return *line;
  }

 private:
  fs::path path_;
  std::ifstream file_;
  std::array<char, 4096> piece_{};
  std::string line_;
  size_t read_ = 0;
};

// The values of the rows, in their order.
class VectorReader::Values {
 public:
  virtual ~Values() = default;
  /// Fills [n, dim] with the next rows, of which there are as many. first: the number of the first one.
  virtual void read(size_t first, Matrix& rows) = 0;
  virtual void skip(size_t count) = 0;

  size_t rows = 0;
  size_t dim = 0;
};

class VectorReader::BinaryValues final : public Values {
 public:
  BinaryValues(const fs::path& path, const Layout& layout)
      : path_(path), file_(open_file(path, layout.begin)) {
    rows = layout.rows;
    dim = layout.dim;
  }
  void read(size_t first, Matrix& to) override {
    const auto bytes = std::as_writable_bytes(to.values());
    file_.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    if (file_) return;
    const size_t complete = static_cast<size_t>(file_.gcount()) / (dim * sizeof(float));
    refuse(path_, "row " + std::to_string(first + complete) + " cannot be read");
  }
  void skip(size_t count) override {
    file_.seekg(static_cast<std::streamoff>(count * dim * sizeof(float)), std::ios::cur);
  }

 private:
  fs::path path_;
  std::ifstream file_;
};

class VectorReader::JsonValues final : public Values {
 public:
  explicit JsonValues(const fs::path& path) : path_(path), lines_(path) {
    rows = Lines::count(path);
    if (rows == 0) return;
    dim = parse_json_row(Lines(path).expect(), where(0)).size();
    // A number and what ends it are two bytes at least: no memory is taken for rows that cannot be there.
    if (rows > fs::file_size(path) / std::max<size_t>(1, 2 * dim))
      refuse(path, "too short for " + std::to_string(rows) + " rows of " + std::to_string(dim) + " values");
  }
  void read(size_t first, Matrix& to) override {
    for (size_t r = 0; r < to.rows(); ++r) {
      const std::vector<float> row = parse_json_row(lines_.expect(), where(first + r));
      if (row.size() != dim)
        refuse(where(first + r),
               "an embedding of " + std::to_string(row.size()) + " values, expected " + std::to_string(dim));
      std::ranges::copy(row, to.row(r).begin());
    }
  }
  void skip(size_t count) override {
    for (; count > 0; --count) lines_.expect();
  }

 private:
  std::string where(size_t row) const { return path_.string() + ":" + std::to_string(row + 1); }

  fs::path path_;
  Lines lines_;
};

VectorReader::VectorReader(fs::path path) : path_(std::move(path)) {
  check_vector_extension(path_);
  if (path_.extension() == ".npy")
    values_ = std::make_unique<BinaryValues>(path_, npy_layout(path_));
  else if (path_.extension() == ".safetensors")
    values_ = std::make_unique<BinaryValues>(path_, safetensors_layout(path_));
  else
    values_ = std::make_unique<JsonValues>(path_);
  if (dim() > kMaxDim)
    refuse(path_, "has vectors of " + std::to_string(dim()) + " values, at most " + std::to_string(kMaxDim) +
                      " are read");
  const fs::path index = index_of_vectors(path_);
  const size_t lines = fs::exists(index) ? Lines::count(index) : 0;
  if (const size_t sources = lines == 0 ? 0 : lines - 1; sources != rows())
    refuse(path_,
           "has " + std::to_string(rows()) + " rows, and its index " + std::to_string(sources) + " lines");
  if (lines > 0) {
    index_ = std::make_unique<Lines>(index);
    index_->expect();  // the names of its columns
  }
  if (const fs::path identity = identity_of_vectors(path_); fs::exists(identity))
    identity_ = Identity::parse(read_text_file(identity, kMaxIdentityBytes));
}

VectorReader::~VectorReader() = default;

size_t VectorReader::rows() const { return values_->rows; }
size_t VectorReader::dim() const { return values_->dim; }

VectorSource VectorReader::next_source() {
  const std::string_view line = index_->expect();
  const size_t tab = std::min(line.find('\t'), line.size());
  if (line.substr(0, tab) != std::to_string(row_))
    refuse(index_of_vectors(path_), "where row " + std::to_string(row_) + " is expected, there is '" +
                                        std::string(line.substr(0, std::min<size_t>(tab, 20))) + "'");
  ++row_;
  return parse_index_line(line.substr(std::min(tab + 1, line.size())));
}

StoredVectors VectorReader::next(size_t wanted) {
  const size_t count = std::min(wanted, rows() - row_);
  StoredVectors part{Matrix(count, dim()), {}, identity_};
  values_->read(row_, part.vectors);
  for (size_t r = 0; r < count; ++r)
    if (!is_finite(part.vectors.row(r))) refuse(path_, "row " + std::to_string(row_ + r) + " is not finite");
  part.sources.reserve(count);
  while (part.sources.size() < count) part.sources.push_back(next_source());
  return part;
}

void VectorReader::skip(size_t rows_to_skip) {
  const size_t count = std::min(rows_to_skip, rows() - row_);
  values_->skip(count);
  for (size_t r = 0; r < count; ++r) next_source();
}

StoredVectors read_vectors(const fs::path& path) {
  VectorReader reader(path);
  return reader.next(reader.rows());
}

}  // namespace mii::pipeline
