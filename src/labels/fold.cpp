#include "labels/fold.h"

#include <unicode/uchar.h>
#include <unicode/uscript.h>

#include "core/utf8.h"
#include "text/unicode.h"

namespace mii::labels {
namespace {

bool is_mark(UChar32 c) { return (U_GET_GC_MASK(c) & U_GC_MN_MASK) != 0 && c != 0x3099 && c != 0x309A; }

bool separates(UChar32 c) { return (U_GET_GC_MASK(c) & (U_GC_P_MASK | U_GC_Z_MASK | U_GC_CC_MASK)) != 0; }

UScriptCode script_of(UChar32 c) {
  UErrorCode status = U_ZERO_ERROR;
  const UScriptCode script = uscript_getScript(c, &status);
  expect_icu(status);
  return script;
}

bool is_written_without_spaces(UChar32 c) {
  const UScriptCode script = script_of(c);
  return script == USCRIPT_HAN || script == USCRIPT_HIRAGANA || script == USCRIPT_KATAKANA ||
         script == USCRIPT_HANGUL || c == 0x30FC;  // the sign for long vowels has no script of its own
}

// "o" of "ö", "и" of "й"; a kana keeps its voicing, since か and が are letters of their own.
std::string without_marks(const std::string& character) {
  std::string kept;
  for_each_character(normalised(icu::Normalizer2::getNFDInstance, character), [&](UChar32 c) {
    if (!is_mark(c)) append_utf8(kept, c);
  });
  return normalised(icu::Normalizer2::getNFCInstance, kept);
}

Letter letter_of(UChar32 c) {
  Letter letter;
  append_utf8(letter.text, c);
  letter.bare = c < 0x80 ? letter.text : without_marks(letter.text);
  letter.is_word = !is_written_without_spaces(c);
  return letter;
}

}  // namespace

std::vector<Letter> fold(std::string_view utf8) {
  std::string valid;
  for_each_character(utf8, [&](UChar32 c) { append_utf8(valid, c); });
  std::vector<Letter> letters;
  bool space = false;
  for_each_character(normalised(icu::Normalizer2::getNFKCCasefoldInstance, valid), [&](UChar32 c) {
    if (separates(c)) {
      space = !letters.empty();
      return;
    }
    if (space) letters.push_back({" ", " ", false});
    space = false;
    letters.push_back(letter_of(c));
  });
  return letters;
}

std::string folded(std::string_view utf8) {
  std::string text;
  for (const Letter& letter : fold(utf8)) text += letter.text;
  return text;
}

std::string bare(std::string_view utf8) {
  std::string text;
  for (const Letter& letter : fold(utf8)) text += letter.bare;
  return text;
}

bool is_in_another_script(std::string_view utf8) {
  bool latin = false, greek = false, other = false;
  for_each_character(utf8, [&](UChar32 c) {
    if ((U_GET_GC_MASK(c) & U_GC_L_MASK) == 0) return;
    const UScriptCode script = script_of(c);
    latin = latin || script == USCRIPT_LATIN;
    greek = greek || script == USCRIPT_GREEK;
    other = other || (script != USCRIPT_LATIN && script != USCRIPT_GREEK && script != USCRIPT_COMMON);
  });
  return other || (greek && !latin);
}

}  // namespace mii::labels
