#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <utility>

#include "mii/matrix.h"

namespace nb = nanobind;

namespace mii::python {

/// What Python hands over as rows of numbers: it has seen to type and order.
using Rows = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Array = nb::ndarray<nb::numpy, float>;

/// The values in the given shape, which are not copied: the array keeps them.
inline Array to_numpy(Matrix&& matrix, std::initializer_list<size_t> shape) {
  auto* kept = new Matrix(std::move(matrix));
  const nb::capsule owner(kept, [](void* p) noexcept { delete static_cast<Matrix*>(p); });
  return Array(kept->values().data(), shape.size(), shape.begin(), owner);
}

/// [rows, cols]
inline Array to_numpy(Matrix&& matrix) {
  const size_t rows = matrix.rows(), cols = matrix.cols();
  return to_numpy(std::move(matrix), {rows, cols});
}

Matrix to_matrix(const Rows& rows);

}  // namespace mii::python
