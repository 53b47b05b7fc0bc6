#pragma once

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "mii/matrix.h"

namespace mii {

/// Collects vectors by input and writes them as FILE.npy, FILE.safetensors (tensor "embeddings") or
/// FILE.jsonl, and FILE.index.tsv that says which input each row belongs to.
///
/// Until finish() the rows lie in FILE.part (float32) and FILE.part.tsv, so that work survives whatever
/// happens.
class EmbeddingFile {
 public:
  /// resume: rows that an earlier run left in FILE.part, or in FILE itself, are kept.
  /// Throws Error{invalid_argument} for another extension, Error{io} when the folder cannot be written, or
  /// when what is there does not fit.
  EmbeddingFile(std::filesystem::path path, size_t dim, bool resume);

  bool has(const std::string& input) const { return row_of_.contains(input); }
  size_t rows() const { return row_of_.size(); }

  /// Throws Error{io}, on a full disk say; what was appended before stays for a later run.
  void append(const std::vector<std::string>& inputs, const Matrix& vectors);

  /// Writes the rows in the order of these inputs, leaving out those that have none, and removes FILE.part.
  /// Returns the number of rows.
  size_t finish(const std::vector<std::string>& order);

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  using File = std::unique_ptr<std::FILE, Close>;

  bool take_part();  // whether there were rows
  void take_finished();
  void append_row(const std::string& input, std::span<const float> vector);
  void flush();

  std::filesystem::path path_;
  std::filesystem::path part_;
  std::filesystem::path part_index_;
  size_t dim_;
  size_t part_rows_ = 0;
  std::unordered_map<std::string, size_t> row_of_;  // row in FILE.part
  File rows_file_;
  File index_file_;
};

}  // namespace mii
