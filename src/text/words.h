#pragma once

#include <string_view>

namespace mii {

/// Takes the next word from the front of a repaired text, spaces before it dropped; empty at the end.
/// A word is, the first that matches: <|startoftext|> or <|endoftext|>, an English contraction ('s 't 're 've
/// 'm 'll 'd), letters, one digit, or other characters up to a letter, a digit or a space. Source: the
/// pattern of CLIP's simple_tokenizer.py.
std::string_view next_word(std::string_view& text);

}  // namespace mii
