#include "pipeline/npy.h"

#include <cstdint>

namespace mii::pipeline {

std::string npy_header(std::initializer_list<size_t> shape) {
  std::string sides;
  for (const size_t side : shape) sides += (sides.empty() ? "" : ", ") + std::to_string(side);
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + sides + "), }";
  constexpr size_t kPrefix = 10, kAlignment = 64;
  header.append(kAlignment - (kPrefix + header.size() + 1) % kAlignment, ' ');
  header += '\n';
  const auto length = static_cast<uint16_t>(header.size());
  return std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(length & 0xFF) +
         static_cast<char>(length >> 8) + header;
}

}  // namespace mii::pipeline
