#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mii {

/// Decodes base64 as clients send images: with or without a "data:...," prefix, white space anywhere,
/// with or without padding. Throws Error{invalid_image} with the offset of the first character that is not
/// base64.
std::vector<std::byte> decode_base64(std::string_view text);

std::string encode_base64(std::span<const std::byte> bytes);

}  // namespace mii
