#pragma once

#include <string>

#include "eval/result.h"

namespace mii {

/// For people, in lines.
std::string to_table(const EvalReport& report);
std::string to_json(const EvalReport& report);
/// One page without references to anything outside it.
std::string to_html(const EvalReport& report);

}  // namespace mii
