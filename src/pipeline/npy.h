#pragma once

#include <cstddef>
#include <initializer_list>
#include <string>

namespace mii::pipeline {

/// What stands before the float32 values, row-major, of an array of this shape in a .npy file.
std::string npy_header(std::initializer_list<size_t> shape);

}  // namespace mii::pipeline
