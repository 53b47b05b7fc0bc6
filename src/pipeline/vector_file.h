#pragma once

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "mii/identity.h"
#include "mii/matrix.h"
#include "pipeline/vector_formats.h"

namespace mii::pipeline {

/// Collects vectors by input and writes them as StoredVectors describes.
///
/// Until finish() the rows lie in FILE.part (float32) and FILE.part.tsv, whose first line says by what they
/// are made, so that work survives whatever happens.
class VectorFile {
 public:
  struct Options {
    size_t dim = 0;
    Identity identity;
    /// Rows that an earlier run left in FILE.part, or in FILE itself, are kept.
    bool resume = false;
  };

  /// Throws Error{invalid_argument} for another extension; Error{io} when the folder cannot be written, when
  /// what is there is damaged, or when it was made by something else, saying by what.
  VectorFile(std::filesystem::path path, Options options);

  /// False also for a file that has changed since.
  bool has(const VectorSource& source) const;
  size_t rows() const { return rows_.size(); }

  /// Throws Error{io}, on a full disk say; what was appended before stays for a later run.
  void append(const std::vector<VectorSource>& sources, const Matrix& vectors);

  /// Writes the rows in the order of these inputs, leaving out those that have none, and removes FILE.part.
  /// Returns the number of rows.
  size_t finish(const std::vector<VectorSource>& order);

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  using File = std::unique_ptr<std::FILE, Close>;
  struct Row {
    size_t number;  ///< in FILE.part
    VectorSource source;
  };

  std::string first_line() const;
  bool take_part();
  StoredVectors read_finished() const;
  void append_row(const VectorSource& source, std::span<const float> vector);
  void flush();

  std::filesystem::path path_;
  std::filesystem::path part_;
  std::filesystem::path part_index_;
  size_t dim_;
  Identity identity_;
  size_t part_rows_ = 0;
  std::unordered_map<std::string, Row> rows_;  // by input; of several, the last
  File rows_file_;
  File index_file_;
};

}  // namespace mii::pipeline
