#include "text/repair.h"

#include <libxml/HTMLparser.h>
#include <unicode/bytestream.h>
#include <unicode/casemap.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <cstdint>

#include "core/utf8.h"
#include "mii/error.h"

namespace mii {
namespace {

void append(std::string& text, UChar32 c) {
  char bytes[U8_MAX_LENGTH];
  int32_t n = 0;
  U8_APPEND_UNSAFE(bytes, n, c);
  text.append(bytes, static_cast<size_t>(n));
}

void expect(UErrorCode status) {
  if (U_FAILURE(status)) throw Error(ErrorCode::internal, std::string("ICU: ") + u_errorName(status));
}

std::string normalise(const icu::Normalizer2& normalizer, std::string_view text) {
  std::string result;
  icu::StringByteSink<std::string> sink(&result);
  UErrorCode status = U_ZERO_ERROR;
  normalizer.normalizeUTF8(0, icu::StringPiece(text.data(), static_cast<int32_t>(text.size())), sink, nullptr,
                           status);
  expect(status);
  return result;
}

std::string nfc(std::string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* normalizer = icu::Normalizer2::getNFCInstance(status);
  expect(status);
  return normalise(*normalizer, text);
}

std::string compatible(UChar32 c) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* normalizer = icu::Normalizer2::getNFKCInstance(status);
  expect(status);
  std::string text;
  append(text, c);
  return normalise(*normalizer, text);
}

std::string lower_case(std::string_view text) {
  std::string result;
  icu::StringByteSink<std::string> sink(&result);
  UErrorCode status = U_ZERO_ERROR;
  icu::CaseMap::utf8ToLower("", 0, icu::StringPiece(text.data(), static_cast<int32_t>(text.size())), sink,
                            nullptr, status);
  expect(status);
  return result;
}

bool is_character(int64_t c) { return c > 0 && c <= 0x10FFFF && !(c >= 0xD800 && c <= 0xDFFF); }

// "233" and "xE9" of "&#233;" and "&#xE9;"; 0 for anything else.
UChar32 numbered_entity(std::string_view digits) {
  const bool hex = !digits.empty() && (digits[0] == 'x' || digits[0] == 'X');
  if (hex) digits.remove_prefix(1);
  if (digits.empty() || digits.size() > 7) return 0;
  int64_t value = 0;
  for (const char c : digits) {
    const int digit = u_digit(c, hex ? 16 : 10);
    if (digit < 0) return 0;
    value = value * (hex ? 16 : 10) + digit;
  }
  return is_character(value) ? static_cast<UChar32>(value) : 0;
}

// The character that "&name;" stands for; 0 when none.
UChar32 entity(std::string_view name) {
  if (name.starts_with('#')) return numbered_entity(name.substr(1));
  if (name == "apos") return '\'';  // HTML 4, whose list the library has, lacks it
  const auto* found = htmlEntityLookup(reinterpret_cast<const xmlChar*>(std::string(name).c_str()));
  return found == nullptr ? 0 : static_cast<UChar32>(found->value);
}

std::string unescape_entities(std::string_view text) {
  constexpr size_t kLongestName = 10;
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '&') {
      const size_t end = text.substr(i + 1, kLongestName + 1).find(';');
      const UChar32 c = end == std::string_view::npos ? 0 : entity(text.substr(i + 1, end));
      if (c != 0) {
        append(result, c);
        i += end + 1;
        continue;
      }
    }
    result += text[i];
  }
  return result;
}

bool is_single_quote(UChar32 c) { return c == 0x02BC || (c >= 0x2018 && c <= 0x201B); }
bool is_double_quote(UChar32 c) { return c >= 0x201C && c <= 0x201F; }
bool is_ligature(UChar32 c) { return c >= 0xFB00 && c <= 0xFB06; }
bool is_other_width(UChar32 c) { return c >= 0xFF01 && c <= 0xFFEF; }

// Controls that mean nothing in a text, byte-order marks, deprecated format and annotation characters.
bool is_noise(UChar32 c) {
  return (c < 0x20 && !u_isUWhiteSpace(c)) || c == 0x7F || c == 0xFEFF || (c >= 0x206A && c <= 0x206F) ||
         (c >= 0xFFF9 && c <= 0xFFFC);
}

// Python's str.isspace, which counts four separators more than Unicode's White_Space.
bool is_space(UChar32 c) { return u_isUWhiteSpace(c) || (c >= 0x1C && c <= 0x1F); }

std::string plain_characters(std::string_view text) {
  std::string result;
  const auto length = static_cast<int32_t>(text.size());
  for (int32_t i = 0; i < length;) {
    UChar32 c;
    U8_NEXT(text.data(), i, length, c);
    if (is_space(c))
      result += ' ';
    else if (is_noise(c))
      continue;
    else if (is_single_quote(c))
      result += '\'';
    else if (is_double_quote(c))
      result += '"';
    else if (is_ligature(c) || is_other_width(c))
      result += compatible(c);
    else
      append(result, c);
  }
  return result;
}

std::string single_spaces(std::string_view text) {
  std::string result;
  for (const char c : text)
    if (c != ' ' || (!result.empty() && result.back() != ' ')) result += c;
  if (result.ends_with(' ')) result.pop_back();
  return result;
}

}  // namespace

void expect_utf8(std::string_view text) {
  if (const size_t at = find_invalid_utf8(text); at != std::string_view::npos)
    throw Error(ErrorCode::invalid_text, "text is not valid UTF-8 at byte " + std::to_string(at));
}

std::string repair_text(std::string_view utf8) {
  const bool markup = utf8.find('<') != std::string_view::npos;
  const std::string plain = plain_characters(markup ? std::string(utf8) : unescape_entities(utf8));
  return single_spaces(lower_case(nfc(plain)));
}

}  // namespace mii
