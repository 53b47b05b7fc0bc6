#pragma once

#include <string>
#include <string_view>
#include <vector>

// How names are compared.

namespace mii::labels {

/// A character of a folded text.
struct Letter {
  std::string text;      ///< the character
  std::string bare;      ///< without its marks: "o" of "ö"; empty for a mark that stands alone
  bool is_word = false;  ///< false: its script puts no spaces between words, or it is a space
};

/// Compatible forms (full-width letters) and cases are made one, punctuation and white space become single
/// spaces, none at the ends. Bytes that are no UTF-8 become U+FFFD.
std::vector<Letter> fold(std::string_view utf8);

/// The texts of letters, end to end.
std::string folded(std::string_view utf8);
/// The same without marks: as names in other languages than English are compared.
std::string bare(std::string_view utf8);

/// True when the text has letters that are neither Latin nor symbols from Greek beside Latin ones.
bool is_in_another_script(std::string_view utf8);

}  // namespace mii::labels
