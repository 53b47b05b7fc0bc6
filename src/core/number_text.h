#pragma once

#include <string>

namespace mii {

/// A number as Python's repr writes it: the shortest digits that read back as the same double ("0.0001",
/// "1e-05", "1.0").
std::string number_text(double value);

/// A text as a JSON string, quotes included.
std::string json_text(const std::string& utf8);

}  // namespace mii
