#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mii {

/// A column by whose values images are told apart: "sex", or "age:40,60" for the bands below 40, from 40 to
/// below 60, and from 60.
class SubgroupColumn {
 public:
  /// Throws Error{invalid_argument} for an empty column and edges that are not rising numbers.
  static SubgroupColumn parse(std::string_view text);

  const std::string& column() const { return column_; }

  /// The subgroup that a cell belongs to; "(none)" for an empty cell and, where there are bands, for one that
  /// is no number.
  std::string of(std::string_view cell) const;

  /// The bands, else the values that occur, in order; "(none)" last where it occurs.
  std::vector<std::string> names(std::span<const std::string> cells) const;

 private:
  std::string column_;
  std::vector<double> edges_;
  std::vector<std::string> bands_;
};

}  // namespace mii
