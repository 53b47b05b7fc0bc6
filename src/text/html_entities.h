#pragma once

#include <string_view>

namespace mii {

/// The UTF-8 text that "&name;" stands for in HTML, name without & and ;. Empty when HTML has no such name.
std::string_view html_entity(std::string_view name);

}  // namespace mii
