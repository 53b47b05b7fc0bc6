#pragma once

#include <string>
#include <string_view>

#include "heads/fitted_head.h"

namespace mii::heads {

/// Reads what head_json wrote into parts. voters: whether there are some. Throws Error{invalid_argument} for
/// another text, saying which member is wrong.
void parse_head_json(std::string_view json, HeadParts& parts);

}  // namespace mii::heads
