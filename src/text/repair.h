#pragma once

#include <string>
#include <string_view>

namespace mii {

/// Throws Error{invalid_text} with the byte offset unless the text is valid UTF-8.
void expect_utf8(std::string_view text);

/// What the tokenizer sees of a valid UTF-8 text: plain characters, NFC, lower case, one space between words.
/// Repairs what people paste, as the Python package ftfy does: HTML entities (unless the line or one before
/// it has a '<'), ligatures, full-width letters, curly quotes, line breaks, control characters, terminal
/// escapes. It does not guess at texts that were decoded with the wrong character set, and stops at 16
/// entities within each other.
std::string repair_text(std::string_view utf8);

}  // namespace mii
