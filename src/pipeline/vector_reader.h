#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>

#include "mii/identity.h"
#include "pipeline/vector_formats.h"

namespace mii::pipeline {

/// Reads what StoredVectors describes from the first row on, some rows at a time, and takes memory for these
/// only. One thread at a time.
class VectorReader {
 public:
  /// Throws Error{io} for files that are missing, damaged, or do not fit each other;
  /// Error{invalid_argument} for another extension.
  explicit VectorReader(std::filesystem::path path);
  ~VectorReader();
  VectorReader(const VectorReader&) = delete;
  VectorReader& operator=(const VectorReader&) = delete;

  const std::filesystem::path& path() const { return path_; }
  size_t rows() const;
  size_t dim() const;  ///< 0 where a .jsonl has no rows
  const std::optional<Identity>& identity() const { return identity_; }

  /// The next rows, as many as there are of those that are wanted. Throws Error{io} for damage, and says in
  /// which row; nothing can be read after that.
  StoredVectors next(size_t wanted);

  /// Passes over rows, at most to the end. Throws as next() does.
  void skip(size_t rows);

 private:
  class Lines;
  class Values;
  class BinaryValues;
  class JsonValues;

  VectorSource next_source();

  std::filesystem::path path_;
  std::unique_ptr<Values> values_;
  std::unique_ptr<Lines> index_;
  std::optional<Identity> identity_;
  size_t row_ = 0;
};

/// All rows at once. Throws as VectorReader does.
StoredVectors read_vectors(const std::filesystem::path& path);

}  // namespace mii::pipeline
