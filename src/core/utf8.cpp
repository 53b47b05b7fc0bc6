#include "core/utf8.h"

#include <array>
#include <cstdint>
#include <cstdio>

namespace mii {
namespace {

/// Of sequences by their first byte: the length, and what the second byte may be (Unicode 15, table 3-7).
struct Form {
  size_t length = 0;  ///< 0: no sequence begins so
  uint8_t low = 0x80, high = 0xBF;
};

Form form_of(uint8_t first) {
  if (first < 0x80) return {1};
  if (first < 0xC2) return {};
  if (first < 0xE0) return {2};
  if (first == 0xE0) return {3, 0xA0, 0xBF};
  if (first == 0xED) return {3, 0x80, 0x9F};
  if (first < 0xF0) return {3};
  if (first == 0xF0) return {4, 0x90, 0xBF};
  if (first < 0xF4) return {4};
  if (first == 0xF4) return {4, 0x80, 0x8F};
  return {};
}

std::string escape(const char* format, unsigned value) {
  std::array<char, 16> text;
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

std::string escaped(char32_t control) {
  if (control == '\n') return "\\n";
  if (control == '\r') return "\\r";
  if (control == '\t') return "\\t";
  return escape(control < 0x80 ? "\\x%02x" : "\\u%04x", control);
}

}  // namespace

Utf8Start utf8_start(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const Form form = form_of(byte(0));
  if (form.length <= 1) return {form.length == 1, byte(0), 1};
  char32_t character = byte(0) & (0xFFu >> (form.length + 1));
  for (size_t i = 1; i < form.length; ++i) {
    const uint8_t low = i == 1 ? form.low : 0x80, high = i == 1 ? form.high : 0xBF;
    if (i == text.size() || byte(i) < low || byte(i) > high) return {false, 0, i};
    character = character << 6 | (byte(i) & 0x3F);
  }
  return {true, character, form.length};
}

void append_utf8(std::string& text, char32_t character) {
  if (character < 0x80) {
    text += static_cast<char>(character);
    return;
  }
  const int tail = character < 0x800 ? 1 : character < 0x10000 ? 2 : 3;
  text += static_cast<char>((0xFF00 >> (tail + 1) & 0xFF) | character >> (6 * tail));
  for (int i = tail - 1; i >= 0; --i) text += static_cast<char>(0x80 | (character >> (6 * i) & 0x3F));
}

size_t find_invalid_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const Utf8Start start = utf8_start(text.substr(i));
    if (!start.valid) return i;
    i += start.bytes;
  }
  return std::string_view::npos;
}

bool is_control(char32_t c) {
  return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0x061C || c == 0x200E || c == 0x200F ||
         (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

std::string printable(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const Utf8Start start = utf8_start(text);
    if (start.valid && !is_control(start.character))
      result += text.substr(0, start.bytes);
    else if (start.valid)
      result += escaped(start.character);
    else
      for (const char c : text.substr(0, start.bytes)) result += escape("\\x%02x", static_cast<uint8_t>(c));
    text.remove_prefix(start.bytes);
  }
  return result;
}

std::string printable_lines(std::string_view text) {
  std::string result;
  for (size_t end; (end = text.find('\n')) != std::string_view::npos; text.remove_prefix(end + 1))
    result += printable(text.substr(0, end)) + '\n';
  return result + printable(text);
}

}  // namespace mii
