#pragma once

#include <string>
#include <string_view>

namespace mii::serve {

/// 128 random bits in hexadecimal.
std::string new_request_id();

/// What the client named, when it is a word of at most 64 letters, digits, '.', '_', '-'; else a new one.
std::string request_id_of(std::string_view header);

}  // namespace mii::serve
