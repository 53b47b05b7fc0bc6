#pragma once

#include <string_view>

namespace mii::reports {

extern const std::string_view kFindingTable;  ///< findings.tsv

}  // namespace mii::reports
