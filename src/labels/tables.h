#pragma once

#include <string_view>

namespace mii::labels {

extern const std::string_view kNames;    ///< labels/names.tsv
extern const std::string_view kEntries;  ///< labels/catalogue.tsv

}  // namespace mii::labels
