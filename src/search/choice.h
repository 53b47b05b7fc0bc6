#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "search/collection.h"
#include "search/scan.h"

namespace mii::search {

/// A row that becomes a hit.
struct Chosen {
  ScoredRow row;
  size_t folded = 0;
};

/// What there is to know of rows.
struct RowsToChoose {
  VectorRows vectors;
  std::function<std::string(uint32_t)> id;
  std::function<std::optional<std::string_view>(uint32_t)> group;  ///< the value in SearchOptions::one_per
};

/// Of rows, the best first, at most k by leave_out, one_per and fold_from.
std::vector<Chosen> choose(const std::vector<ScoredRow>& rows, const SearchOptions& options,
                           const RowsToChoose& about);

}  // namespace mii::search
