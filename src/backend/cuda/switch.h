#pragma once

#include <cstdlib>
#include <string_view>

namespace mii::cuda {

/// Whether the environment leaves this on: NAME=0 turns it off.
inline bool is_on(const char* name) {
  const char* set = std::getenv(name);
  return set == nullptr || std::string_view(set) != "0";
}

}  // namespace mii::cuda
