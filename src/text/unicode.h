#pragma once

#include <unicode/normalizer2.h>
#include <unicode/utf8.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace mii {

/// Throws Error{internal} where ICU has failed.
void expect_icu(UErrorCode status);

/// text: UTF-8, in the normal form of an instance: icu::Normalizer2::getNFCInstance.
std::string normalised(const icu::Normalizer2* (*instance)(UErrorCode&), std::string_view text);

/// Calls use(c) for each character of UTF-8; bytes that are none are U+FFFD.
template <typename Use>
void for_each_character(std::string_view text, Use use) {
  const auto length = static_cast<int32_t>(text.size());
  for (int32_t i = 0; i < length;) {
    UChar32 c;
    U8_NEXT(text.data(), i, length, c);
    use(c < 0 ? UChar32{0xFFFD} : c);
  }
}

}  // namespace mii
