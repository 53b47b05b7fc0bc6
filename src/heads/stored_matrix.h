#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "weights/safetensors.h"

namespace mii::heads {

/// A matrix in a file.
struct StoredMatrix {
  size_t rows = 0;
  size_t cols = 0;
  std::span<const std::byte> data;  ///< row after row, borrowed from the file's bytes
};

/// Throws Error{corrupt_weights}, naming the file, where there is none of this name and type.
StoredMatrix stored_matrix(const Safetensors& file, const std::string& tensor, const char* dtype,
                           std::string_view name);

inline Shape shape_of(size_t rows, size_t cols) {
  return {static_cast<int64_t>(rows), static_cast<int64_t>(cols)};
}

}  // namespace mii::heads
