#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "mii/error.h"
#include "mii/image.h"

namespace mii {

/// What decoding these bytes throws, with its code first: "invalid_image: ..."; "no error" where it throws
/// nothing.
inline std::string error_of(std::span<const std::byte> data, const DecodeOptions& options = {}) {
  try {
    Image::decode(data, options);
  } catch (const Error& error) {
    return std::string(to_string(error.code())) + ": " + error.what();
  }
  return "no error";
}

}  // namespace mii
