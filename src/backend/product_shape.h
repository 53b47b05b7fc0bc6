#pragma once

#include <compare>
#include <cstdint>

namespace mii {

/// A product of a matrix of rows with the weights of a layer.
struct ProductShape {
  int64_t rows;
  int64_t in;
  int64_t out;
  // NOLINTNEXTLINE(modernize-use-nullptr): = default generates the comparison
  auto operator<=>(const ProductShape&) const = default;

  double operations() const {
    return 2.0 * static_cast<double>(rows) * static_cast<double>(in) * static_cast<double>(out);
  }
};

}  // namespace mii
