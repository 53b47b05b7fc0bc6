#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/tensor.h"
#include "mii/matrix.h"
#include "search/bitmap.h"
#include "search/scan_kernels.h"

namespace mii::search {

/// How rows are passed over that cannot be hits. Whatever the stage, the similarities of the hits are those
/// of the stored vectors.
enum class Stage {
  automatic,  ///< by the number of rows that are to be looked at
  exact,      ///< every stored vector is read
  int8,     ///< the 8-bit integers; what they cannot rule out is read as stored. The hits are those of exact
  signs,    ///< the signs; the best share of the rows by them is read as stored. Hits may be missing
  hamming,  ///< the same, the query's signs too
  hnsw,     ///< a database's index of half-precision vectors; what it finds is read as stored. Hits may be
            ///< missing
};

/// "exact", ...
std::string_view to_string(Stage stage);
/// Throws Error{invalid_argument} for another name.
Stage parse_stage(std::string_view name);

/// Rows of unit vectors and their short forms (see codes.h).
struct VectorRows {
  RowsView stored;
  RowsView int8;
  RowsView signs;
  DType precision = DType::f32;  ///< of the stored rows: f32 or bf16
  size_t dim = 0;
};

struct ScanOptions {
  size_t k = 10;
  Stage stage = Stage::automatic;
  int threads = 0;            ///< 0: every core
  double rescored_share = 0;  ///< of the rows, after the signs; 0: as much as the tests of recall ask for
};

struct ScoredRow {
  float similarity;  ///< the dot product with the query, as scan_kernels.h defines it
  uint32_t row;
  bool operator==(const ScoredRow&) const = default;
};

struct Scan {
  Stage stage = Stage::exact;  ///< the one that was taken
  /// For each query its k best rows, fewer where there are not as many, the best first; of rows with equal
  /// similarities the lower number first. All rows that are as similar as the last one are there too.
  std::vector<std::vector<ScoredRow>> best;
};

/// queries: [n, dim], unit vectors. allowed: the rows that may be hits. The result does not depend on the
/// number of threads, the machine or the other queries.
Scan scan(const VectorRows& rows, const Bitmap& allowed, const Matrix& queries, const ScanOptions& options);

/// How far a sum of dim products, in any order, may be from the true one, of vectors of length 1.
float rounding_error(size_t dim);

/// With one row, as a scan gives it.
float similarity(const VectorRows& rows, std::span<const float> query, uint32_t row);

}  // namespace mii::search
