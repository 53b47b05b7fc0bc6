#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "text/clip_tokenizer.h"

namespace mii {

/// Makes a text of token ids, one after another, for people. The tokens know neither capitals nor the spaces
/// around punctuation: a sentence begins with a capital here, and spaces stand where English has them ("No
/// effusion.", "x-ray", "3.2 cm"). What has been given is never taken back.
class Detokenizer {
 public:
  /// The tokenizer must outlive this.
  explicit Detokenizer(const ClipTokenizer& tokenizer) : tokenizer_(&tokenizer) {}

  /// What the next token adds: nothing for the start and end tokens, for an id that there is not, and for
  /// bytes that are not yet, or no, UTF-8.
  std::string add(int32_t id);

  const std::string& text() const { return text_; }

 private:
  bool space_before(char next) const;
  void append(std::string_view bytes);

  const ClipTokenizer* tokenizer_;
  std::string text_;
  std::string pending_;  // bytes of a character that is not complete
  bool begins_word_ = true;
};

}  // namespace mii
