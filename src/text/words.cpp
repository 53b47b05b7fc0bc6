#include "text/words.h"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <cstddef>
#include <cstdint>

namespace mii {
namespace {

constexpr std::string_view kWholeWords[] = {
    "<|startoftext|>", "<|endoftext|>", "'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};

enum class Kind { space, letter, number, other };

// The reference compares without case, so it takes U+0345 (a mark whose capital is a letter) for neither a
// letter nor anything else: it separates words.
Kind kind_of(UChar32 c) {
  if (c == 0x0345) return Kind::space;
  const uint32_t category = U_GET_GC_MASK(c);
  if (category & U_GC_L_MASK) return Kind::letter;
  if (category & U_GC_N_MASK) return Kind::number;
  return u_isUWhiteSpace(c) ? Kind::space : Kind::other;
}

struct Character {
  Kind kind;
  size_t bytes;
};

Character first_character(std::string_view text) {
  int32_t bytes = 0;
  UChar32 c;
  U8_NEXT(text.data(), bytes, static_cast<int32_t>(text.size()), c);
  return {kind_of(c), static_cast<size_t>(bytes)};
}

// Bytes of the longest prefix of the text that is all of one kind.
size_t run_length(std::string_view text, Kind kind) {
  size_t length = 0;
  while (length < text.size()) {
    const Character next = first_character(text.substr(length));
    if (next.kind != kind) break;
    length += next.bytes;
  }
  return length;
}

// Bytes of the prefix of the text that spells the word, 0 when it does not. Without case, the long s is an s.
size_t spelt_length(std::string_view text, std::string_view word) {
  constexpr std::string_view kLongS = "\u017f";
  size_t length = 0;
  for (const char c : word) {
    const std::string_view rest = text.substr(length);
    if (rest.starts_with(c))
      length += 1;
    else if (c == 's' && rest.starts_with(kLongS))
      length += kLongS.size();
    else
      return 0;
  }
  return length;
}

size_t word_length(std::string_view text) {
  for (const std::string_view word : kWholeWords)
    if (const size_t length = spelt_length(text, word)) return length;
  const Character first = first_character(text);
  return first.kind == Kind::number ? first.bytes : run_length(text, first.kind);
}

}  // namespace

std::string_view next_word(std::string_view& text) {
  text.remove_prefix(run_length(text, Kind::space));
  if (text.empty()) return {};
  const std::string_view word = text.substr(0, word_length(text));
  text.remove_prefix(word.size());
  return word;
}

}  // namespace mii
