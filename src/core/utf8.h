#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace mii {

/// What a text begins with: a character, or bytes that are no UTF-8 (Unicode 15, chapter 3, tables 3-7, 3-8).
struct Utf8Start {
  bool valid;
  char32_t character;  ///< where valid
  size_t bytes;  ///< at least 1; where not valid, the maximal subpart that one U+FFFD stands for (WHATWG)
};

/// text must not be empty.
Utf8Start utf8_start(std::string_view text);

/// Appends a character as UTF-8. It must be one that UTF-8 can hold: at most U+10FFFF, no surrogate.
void append_utf8(std::string& text, char32_t character);

/// The byte at which the first sequence begins that is no UTF-8; npos for a valid text.
size_t find_invalid_utf8(std::string_view text);

/// C0 and C1 controls, DEL, line separators, and what changes the direction of text: none of them is shown,
/// all of them change what is shown around them.
bool is_control(char32_t character);

/// A text for a terminal: controls and bytes that are no UTF-8 become \n, \t, \x1b, \u202e. All else stays,
/// so that doing it twice changes nothing.
std::string printable(std::string_view text);

/// The same for a text of several lines, whose line breaks stay.
std::string printable_lines(std::string_view text);

}  // namespace mii
