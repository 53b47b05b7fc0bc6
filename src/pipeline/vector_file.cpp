#include "pipeline/vector_file.h"

#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "core/file.h"
#include "mii/error.h"
#include "pipeline/vector_reader.h"

namespace mii::pipeline {
namespace {

namespace fs = std::filesystem;

fs::path with_suffix(fs::path path, const char* suffix) { return path += suffix; }

void expect_same(const fs::path& path, const Identity& found, const Identity& expected) {
  std::string text;
  for (const std::string& difference : found.differences_from(expected))
    text += (text.empty() ? "" : "; ") + difference;
  if (!text.empty())
    throw Error(ErrorCode::io, path.string() + ": was made by something else: " + text +
                                   "; choose another output, or leave out --resume");
}

}  // namespace

VectorFile::VectorFile(fs::path path, Options options)
    : path_(std::move(path)),
      part_(with_suffix(path_, ".part")),
      part_index_(with_suffix(path_, ".part.tsv")),
      dim_(options.dim),
      identity_(std::move(options.identity)) {
  check_vector_extension(path_);
  if (fs::is_directory(path_)) throw Error(ErrorCode::io, path_.string() + ": is a folder");
  const bool part = options.resume && take_part();
  // Before anything is written: what is refused stays as it is.
  std::optional<StoredVectors> finished;
  if (options.resume && !part && fs::exists(path_)) finished = read_finished();
  const char* mode = part ? "ab" : "wb";
  rows_file_.reset(std::fopen(part_.c_str(), mode));
  if (rows_file_) index_file_.reset(std::fopen(part_index_.c_str(), mode));
  if (!index_file_)
    throw Error(ErrorCode::io, part_.string() + ": cannot be written: " + std::strerror(errno));
  if (part) return;
  const std::string line = first_line() + '\n';
  std::fwrite(line.data(), 1, line.size(), index_file_.get());
  flush();
  if (!finished) return;
  for (size_t r = 0; r < finished->vectors.rows(); ++r)
    append_row(finished->sources[r], finished->vectors.row(r));
  flush();
}

std::string VectorFile::first_line() const { return identity_.json(); }

bool VectorFile::take_part() {
  if (!fs::exists(part_)) return false;
  const std::vector<std::string> lines = complete_lines(part_index_);
  if (lines.empty()) return false;  // stopped before it was begun
  if (lines[0] != first_line()) {
    try {
      expect_same(part_, Identity::parse(lines[0]), identity_);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::invalid_argument) throw;
      throw Error(ErrorCode::io, part_.string() +
                                     ": does not say by what it was made; remove it, or leave out "
                                     "--resume");
    }
  }
  const size_t rows = std::min<size_t>(lines.size() - 1, fs::file_size(part_) / (dim_ * sizeof(float)));
  uint64_t index_bytes = lines[0].size() + 1;
  for (size_t r = 0; r < rows; ++r) {
    VectorSource source = parse_index_line(lines[r + 1]);
    rows_.insert_or_assign(source.input, Row{r, source});
    index_bytes += lines[r + 1].size() + 1;
  }
  part_rows_ = rows;
  fs::resize_file(part_, rows * dim_ * sizeof(float));
  fs::resize_file(part_index_, index_bytes);
  return true;
}

StoredVectors VectorFile::read_finished() const {
  StoredVectors stored = read_vectors(path_);
  if (!stored.identity)
    throw Error(ErrorCode::io, path_.string() + ": does not say by what it was made; it cannot be resumed");
  expect_same(path_, *stored.identity, identity_);
  if (stored.vectors.rows() != 0 && stored.vectors.cols() != dim_)
    throw Error(ErrorCode::io, path_.string() + ": holds vectors of " +
                                   std::to_string(stored.vectors.cols()) + " values, this model gives " +
                                   std::to_string(dim_));
  return stored;
}

bool VectorFile::has(const VectorSource& source) const {
  const auto found = rows_.find(source.input);
  return found != rows_.end() && found->second.source.state == source.state;
}

void VectorFile::append_row(const VectorSource& source, std::span<const float> vector) {
  std::fwrite(vector.data(), sizeof(float), vector.size(), rows_file_.get());
  const std::string line = index_line(source) + '\n';
  std::fwrite(line.data(), 1, line.size(), index_file_.get());
  rows_.insert_or_assign(source.input, Row{part_rows_++, source});
}

void VectorFile::flush() {
  const bool written = std::fflush(rows_file_.get()) == 0 && std::fflush(index_file_.get()) == 0 &&
                       std::ferror(rows_file_.get()) == 0 && std::ferror(index_file_.get()) == 0;
  if (!written)
    throw Error(ErrorCode::io, part_.string() + ": cannot be written: " + std::strerror(errno) +
                                   "; --resume keeps the rows before this");
}

void VectorFile::append(const std::vector<VectorSource>& sources, const Matrix& vectors) {
  for (size_t r = 0; r < sources.size(); ++r) append_row(sources[r], vectors.row(r));
  flush();
}

size_t VectorFile::finish(const std::vector<VectorSource>& order) {
  std::vector<VectorSource> sources;
  std::vector<size_t> numbers;
  for (const VectorSource& source : order) {
    if (!has(source)) continue;
    sources.push_back(source);
    numbers.push_back(rows_.at(source.input).number);
  }
  flush();
  const std::optional<MappedFile> mapped =
      part_rows_ == 0 ? std::nullopt : std::optional(MappedFile::open(part_));
  write_vectors(path_, sources, dim_, identity_, [&](size_t r) {
    std::vector<float> vector(dim_);
    std::memcpy(vector.data(), mapped->bytes().data() + numbers[r] * dim_ * sizeof(float),
                dim_ * sizeof(float));
    return vector;
  });
  fs::remove(part_);
  fs::remove(part_index_);
  return sources.size();
}

}  // namespace mii::pipeline
