#pragma once

#include <cstdint>
#include <memory>

// Who owns numbers: a backend allocates them where it computes, on the host or on a device. Above a backend
// they are places that are handed from operator to operator; Backend::upload and download move the numbers.

namespace mii {

/// Float32 numbers in a backend's memory. Only the backend that allocated them looks inside.
class Storage {
 public:
  Storage() = default;
  virtual ~Storage() = default;
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
};

/// A borrowed float32 matrix [rows, cols], row-major, dense.
struct Rows {
  Storage* storage = nullptr;
  int64_t offset = 0;  ///< of the first value
  int64_t rows = 0;
  int64_t cols = 0;

  int64_t elements() const { return rows * cols; }
  /// n of the rows, from `first`.
  Rows slice(int64_t first, int64_t n) const { return {storage, offset + first * cols, n, cols}; }
};

struct ConstRows {
  const Storage* storage = nullptr;
  int64_t offset = 0;
  int64_t rows = 0;
  int64_t cols = 0;

  ConstRows() = default;
  ConstRows(const Storage* s, int64_t at, int64_t r, int64_t c) : storage(s), offset(at), rows(r), cols(c) {}
  ConstRows(const Rows& other)  // NOLINT: a view of a view
      : ConstRows(other.storage, other.offset, other.rows, other.cols) {}

  int64_t elements() const { return rows * cols; }
  ConstRows slice(int64_t first, int64_t n) const { return {storage, offset + first * cols, n, cols}; }
};

/// Numbers that stay: a bias, say, or the weights of a norm.
struct Vector {
  std::unique_ptr<Storage> storage;
  int64_t size = 0;

  bool empty() const { return size == 0; }
  ConstRows as_row() const { return {storage.get(), 0, 1, size}; }
};

}  // namespace mii
