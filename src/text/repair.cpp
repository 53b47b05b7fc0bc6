#include "text/repair.h"

#include <unicode/bytestream.h>
#include <unicode/casemap.h>
#include <unicode/uchar.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "core/utf8.h"
#include "mii/error.h"

#include "text/html_entities.h"
#include "text/unicode.h"

namespace mii {
namespace {

std::string nfc(std::string_view text) { return normalised(icu::Normalizer2::getNFCInstance, text); }

std::string compatible(UChar32 c) {
  std::string text;
  append_utf8(text, c);
  return normalised(icu::Normalizer2::getNFKCInstance, text);
}

std::string lower_case(std::string_view text) {
  std::string result;
  icu::StringByteSink<std::string> sink(&result);
  UErrorCode status = U_ZERO_ERROR;
  icu::CaseMap::utf8ToLower("", 0, icu::StringPiece(text.data(), static_cast<int32_t>(text.size())), sink,
                            nullptr, status);
  expect_icu(status);
  return result;
}

std::string upper_case(std::string_view text) {
  std::string result;
  icu::StringByteSink<std::string> sink(&result);
  UErrorCode status = U_ZERO_ERROR;
  icu::CaseMap::utf8ToUpper("", 0, icu::StringPiece(text.data(), static_cast<int32_t>(text.size())), sink,
                            nullptr, status);
  expect_icu(status);
  return result;
}

// U+0080 to U+009F are read as the bytes of Windows-1252; five of them have no meaning there and stay.
UChar32 from_windows_1252(UChar32 c) {
  constexpr char16_t kCharacters[] =
      u"\u20ac\u0081\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\u008d\u017d\u008f"
      u"\u0090\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\u009d\u017e\u0178";
  return c >= 0x80 && c <= 0x9F ? kCharacters[c - 0x80] : c;
}

bool is_noncharacter(int64_t c) { return (c & 0xFFFE) == 0xFFFE || (c >= 0xFDD0 && c <= 0xFDEF); }

// A control that means nothing in a text: neither a tab nor the end of a line or page.
bool is_control(int64_t c) {
  return (c < 0x20 && c != '\t' && c != '\n' && c != '\f' && c != '\r') || c == 0x7F;
}

// What a browser makes of &#N;: U+FFFD for numbers that no character has, nothing for those that none may
// have.
std::string numbered_character(int64_t c) {
  std::string text;
  if (c == 0 || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
    append_utf8(text, U'\uFFFD');
  else if (!is_control(c) && !is_noncharacter(c))
    append_utf8(text, from_windows_1252(static_cast<UChar32>(c)));
  return text;
}

// "#233" and "#xE9" of "&#233;" and "&#xE9;". &#59;, the semicolon, stays as it is.
std::optional<std::string> numbered_entity(std::string_view digits) {
  const bool hex = digits.starts_with('x') || digits.starts_with('X');
  if (hex) digits.remove_prefix(1);
  if (digits.empty()) return std::nullopt;
  int64_t value = 0;
  for (const char c : digits) {
    const int digit = u_digit(c, hex ? 16 : 10);
    if (digit < 0) return std::nullopt;
    value = std::min<int64_t>(value * (hex ? 16 : 10) + digit, 0x110000);
  }
  return value == ';' ? std::nullopt : std::optional(numbered_character(value));
}

// "&NTILDE;" is Ñ, unless a browser would read its beginning as an entity: "&GTDOT;" as ">DOT;".
std::optional<std::string> capital_entity(std::string_view name) {
  constexpr std::string_view kNeedNoSemicolon[] = {"AMP", "COPY", "ETH", "GT", "LT", "QUOT", "REG", "THORN"};
  const std::string lower = lower_case(name);
  const std::string_view text = html_entity(lower);
  if (text.empty() || upper_case(lower) != name) return std::nullopt;
  for (const std::string_view front : kNeedNoSemicolon)
    if (name.starts_with(front)) return std::nullopt;
  return upper_case(text);
}

// The text that "&name;" stands for; nothing when it is no entity.
std::optional<std::string> entity(std::string_view name) {
  constexpr size_t kLongestName = 24;  // ftfy's limit; HTML has longer names
  if (name.starts_with('#')) return numbered_entity(name.substr(1));
  if (name.size() > kLongestName) return std::nullopt;
  const std::string_view text = html_entity(name);
  return text.empty() ? capital_entity(name) : std::optional(std::string(text));
}

std::string unescape_entities(std::string_view text) {
  constexpr size_t kLongestEntity = 25;
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '&') {
      const size_t end = text.substr(i + 1, kLongestEntity + 1).find(';');
      const auto meaning = end == std::string_view::npos ? std::nullopt : entity(text.substr(i + 1, end));
      if (meaning) {
        result += *meaning;
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
bool is_other_width(UChar32 c) { return c >= 0xFF01 && c <= 0xFFEF; }

// ĳ ŉ ǆ ǉ ǌ ǳ, their capitals, ﬀ to ﬆ.
bool is_ligature(UChar32 c) {
  return c == 0x132 || c == 0x133 || c == 0x149 || (c >= 0x1C4 && c <= 0x1CC) || (c >= 0x1F1 && c <= 0x1F3) ||
         (c >= 0xFB00 && c <= 0xFB06);
}

// Controls, byte-order marks, deprecated format and annotation characters.
bool is_noise(UChar32 c) {
  return is_control(c) || c == 0xFEFF || (c >= 0x206A && c <= 0x206F) || (c >= 0xFFF9 && c <= 0xFFFC);
}

void append_plain(std::string& text, UChar32 c) {
  if (is_single_quote(c))
    text += '\'';
  else if (is_double_quote(c))
    text += '"';
  else if (c == 0xFB05)  // its compatible form would lose the long s
    text += "\u017ft";
  else if (c == 0x149)
    text += "'n";
  else if (is_ligature(c) || is_other_width(c))
    text += compatible(c);
  else
    append_utf8(text, c);
}

std::string plain_characters(std::string_view text) {
  std::string result;
  for_each_character(text, [&](UChar32 c) { append_plain(result, from_windows_1252(c)); });
  return result;
}

// Bytes of the terminal's escape sequence ("\033[1;31m") that the text begins with; 0 when it begins with
// none.
size_t terminal_escape_length(std::string_view text) {
  if (!text.starts_with("\033[")) return 0;
  const auto length = static_cast<int32_t>(text.size());
  for (int32_t i = 2; i < length;) {
    UChar32 c;
    U8_NEXT(text.data(), i, length, c);
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return static_cast<size_t>(i);
    if (c != ';' && !u_isdigit(c)) return 0;
  }
  return 0;
}

std::string without_terminal_escapes(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size();) {
    const size_t length = terminal_escape_length(text.substr(i));
    if (length == 0) result += text[i];
    i += std::max<size_t>(length, 1);
  }
  return result;
}

std::string without_noise(std::string_view text) {
  std::string result;
  for_each_character(text, [&](UChar32 c) {
    if (!is_noise(c)) append_utf8(result, c);
  });
  return result;
}

// One mend may make another possible ("&amp;lt;" is "&lt;" is "<"), so a line is mended until nothing
// changes. The limit is for texts made to need more passes than any real one.
std::string repair_line(std::string line, bool unescape) {
  constexpr int kMaxPasses = 16;
  for (int pass = 0; pass < kMaxPasses; ++pass) {
    std::string mended = unescape ? unescape_entities(line) : line;
    mended = nfc(without_noise(without_terminal_escapes(plain_characters(mended))));
    if (mended == line) break;
    line = std::move(mended);
  }
  return line;
}

// Entities are kept from the first line on that has a '<': it is taken for markup.
std::string repair_lines(std::string_view text) {
  const size_t markup = std::min(text.find('<'), text.size());
  std::string result;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size() - 1) + 1;
    result += repair_line(std::string(text.substr(begin, end - begin)), end <= markup);
    begin = end;
  }
  return result;
}

std::string plain_spaces(std::string_view text) {
  std::string result;
  for_each_character(text, [&](UChar32 c) { append_utf8(result, u_isUWhiteSpace(c) ? ' ' : c); });
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
  return single_spaces(lower_case(plain_spaces(repair_lines(utf8))));
}

}  // namespace mii
