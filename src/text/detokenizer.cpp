#include "text/detokenizer.h"

#include "core/utf8.h"

namespace mii {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool one_of(char c, std::string_view list) { return list.find(c) != std::string_view::npos; }

}  // namespace

// Between the text so far and a word that begins so.
bool Detokenizer::space_before(char next) const {
  if (text_.empty()) return false;
  const char last = text_.back();
  const char before = text_.size() > 1 ? text_[text_.size() - 2] : ' ';
  if (one_of(next, ".,;:!?)]}%'-/") || one_of(last, "([{-/")) return false;
  if (!is_digit(next)) return true;
  const bool within_number = is_digit(last) || (last == '.' && is_digit(before));
  const bool behind_letter = last >= 'b' && last <= 'z' && before == ' ';  // t12, l5
  return !within_number && !behind_letter;
}

void Detokenizer::append(std::string_view bytes) {
  pending_ += bytes;
  while (!pending_.empty()) {
    const Utf8Start start = utf8_start(pending_);
    if (!start.valid && start.bytes == pending_.size() && pending_.size() < 4) return;  // more may come
    if (start.valid && !is_control(start.character)) text_.append(pending_, 0, start.bytes);
    pending_.erase(0, start.bytes);
  }
}

std::string Detokenizer::add(int32_t id) {
  const TokenPiece piece = tokenizer_->piece(id);
  if (piece.bytes.empty()) return {};
  const size_t before = text_.size();
  std::string bytes(piece.bytes);
  if (begins_word_) {
    pending_.clear();
    const bool sentence_begins = text_.empty() || one_of(text_.back(), ".!?");
    const bool space = space_before(bytes.front());
    if (sentence_begins && (space || text_.empty()) && bytes.front() >= 'a' && bytes.front() <= 'z')
      bytes.front() = static_cast<char>(bytes.front() - 'a' + 'A');
    if (space && !text_.ends_with(' ')) text_ += ' ';
  }
  begins_word_ = piece.ends_word;
  append(bytes);
  return text_.substr(before);
}

}  // namespace mii
