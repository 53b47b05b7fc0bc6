#include "serve/request_id.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <random>

namespace mii::serve {

std::string new_request_id() {
  thread_local std::mt19937_64 generator{std::random_device{}()};
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%016llx%016llx", static_cast<unsigned long long>(generator()),
                static_cast<unsigned long long>(generator()));
  return text.data();
}

std::string request_id_of(std::string_view header) {
  const bool plain =
      !header.empty() && header.size() <= 64 && std::ranges::all_of(header, [](unsigned char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
               c == '_' || c == '-';
      });
  return plain ? std::string(header) : new_request_id();
}

}  // namespace mii::serve
