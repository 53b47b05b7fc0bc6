#pragma once

#include <string>
#include <string_view>

#include "heads/fitted_head.h"

namespace mii::heads {

/// Reads what head_json wrote into parts: all but the numbers that lie in tensors. Throws
/// Error{invalid_argument} for another text, saying which member is wrong.
void parse_head_json(std::string_view json, HeadParts& parts);

}  // namespace mii::heads
