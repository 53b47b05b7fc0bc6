#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "mii/identity.h"
#include "mii/matrix.h"

namespace mii::pipeline {

/// What a vector belongs to.
struct VectorSource {
  std::string input;  ///< a file's name, "file#12" for a frame, a text
  /// Of the file when it was read; absent for texts. A file of another state has another vector.
  struct State {
    uint64_t bytes = 0;
    int64_t modified_ns = 0;  ///< since 1970
    bool operator==(const State&) const = default;
  };
  std::optional<State> state;
};

/// Of files together: the sum of their sizes and the latest time. Absent when one cannot be asked.
std::optional<VectorSource::State> state_of(std::span<const std::filesystem::path> files);

/// Vectors as they lie on the disk:
///   FILE.npy, FILE.safetensors (tensor "embeddings") or FILE.jsonl    float32 [rows, D]
///   FILE.index.tsv       row, input, bytes, modified: what each row belongs to
///   FILE.identity.json   by what they were made
struct StoredVectors {
  Matrix vectors;
  std::vector<VectorSource> sources;  ///< one for each row
  std::optional<Identity> identity;   ///< absent in files of older versions
};

constexpr const char* kVectorTensor = "embeddings";
std::filesystem::path index_of_vectors(std::filesystem::path path);
std::filesystem::path identity_of_vectors(std::filesystem::path path);

/// Throws Error{invalid_argument} unless the extension is one of the three.
void check_vector_extension(const std::filesystem::path& path);

/// Writes all three files, each at once; row(i) gives the values of row i, which need not be in memory
/// before. Throws Error{io}.
void write_vectors(const std::filesystem::path& path, const std::vector<VectorSource>& sources, size_t dim,
                   const Identity& identity, const std::function<std::vector<float>(size_t)>& row);

/// A line of an index, without its row: tabs, line breaks and backslashes are written as \t, \n, \r and \\.
std::string index_line(const VectorSource& source);
/// The inverse.
VectorSource parse_index_line(std::string_view line);

/// Complete lines of a text file: the last one may have been cut off. None when there is no such file.
std::vector<std::string> complete_lines(const std::filesystem::path& path);

}  // namespace mii::pipeline
