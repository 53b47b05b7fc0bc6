#include "reports/sentences.h"

#include <algorithm>
#include <memory>

#include <unicode/brkiter.h>
#include <unicode/utext.h>

#include "mii/error.h"

namespace mii::reports {
namespace {

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool is_small(char c) { return c >= 'a' && c <= 'z'; }
bool is_capital(char c) { return c >= 'A' && c <= 'Z'; }
bool is_letter(char c) { return is_small(c) || is_capital(c) || static_cast<unsigned char>(c) >= 0x80; }
bool is_of_word(char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '\''; }
bool is_mark(char c) { return c == ',' || c == ';' || c == ':'; }
char lower(char c) { return is_capital(c) ? static_cast<char>(c - 'A' + 'a') : c; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

/// "Dr. Miller" and "J. Miller" are no ends.
bool ends_in_title(std::string_view text) {
  text = trimmed(text);
  const size_t n = text.size();
  if (n >= 2 && text[n - 1] == '.' && is_capital(text[n - 2]) && (n == 2 || !is_of_word(text[n - 3])))
    return true;
  for (const std::string_view title : {"Dr.", "Drs.", "Mr.", "Mrs.", "Ms.", "Prof.", "vs.", "approx.", "No."})
    if (text.ends_with(title) &&
        (text.size() == title.size() || !is_of_word(text[text.size() - title.size() - 1])))
      return true;
  return false;
}

/// Where a sentence ends although no space follows: "apex.There".
size_t end_without_space(std::string_view piece) {
  for (size_t i = 2; i + 1 < piece.size(); ++i)
    if (piece[i] == '.' && is_small(piece[i - 1]) && is_small(piece[i - 2]) && is_capital(piece[i + 1]))
      return i + 1;
  return piece.size();
}

/// Without the number of a list in front: "2. Clear lungs."
std::string_view without_number(std::string_view sentence) {
  size_t digits = 0;
  while (digits < sentence.size() && sentence[digits] >= '0' && sentence[digits] <= '9') ++digits;
  const bool numbered = digits > 0 && digits + 1 < sentence.size() &&
                        (sentence[digits] == '.' || sentence[digits] == ')') &&
                        is_space(sentence[digits + 1]);
  return numbered ? trimmed(sentence.substr(digits + 1)) : sentence;
}

struct CloseText {
  void operator()(UText* text) const { utext_close(text); }
};

void expect_success(UErrorCode status) {
  if (U_FAILURE(status)) throw Error(ErrorCode::internal, std::string("ICU: ") + u_errorName(status));
}

}  // namespace

std::vector<std::string> sentences_of(std::string_view report) {
  if (report.size() > kLongestReport)
    throw Error(ErrorCode::invalid_argument, "a report of " + std::to_string(report.size()) +
                                                 " bytes, at most " + std::to_string(kLongestReport) +
                                                 " are read");
  UErrorCode status = U_ZERO_ERROR;
  const std::unique_ptr<icu::BreakIterator> breaks(
      icu::BreakIterator::createSentenceInstance(icu::Locale::getEnglish(), status));
  expect_success(status);
  const std::unique_ptr<UText, CloseText> text(
      utext_openUTF8(nullptr, report.data(), static_cast<int64_t>(report.size()), &status));
  expect_success(status);
  breaks->setText(text.get(), status);
  expect_success(status);
  std::vector<std::string> sentences;
  int32_t begin = breaks->first();
  for (int32_t end = breaks->next(); end != icu::BreakIterator::DONE; end = breaks->next()) {
    std::string_view rest = report.substr(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
    if (ends_in_title(rest) && static_cast<size_t>(end) < report.size()) continue;
    begin = end;
    while (!rest.empty()) {
      const size_t size = end_without_space(rest);
      const std::string_view piece = without_number(trimmed(rest.substr(0, size)));
      if (std::ranges::any_of(piece, is_letter)) sentences.emplace_back(piece);
      rest.remove_prefix(size);
    }
  }
  return sentences;
}

std::vector<std::string> words_of(std::string_view sentence) {
  std::vector<std::string> words;
  bool in_word = false;
  for (const char c : sentence) {
    if (is_of_word(c)) {
      if (!in_word) words.emplace_back();
      words.back() += lower(c);
    } else if (is_mark(c)) {
      words.emplace_back(1, c);
    }
    in_word = is_of_word(c);
  }
  return words;
}

}  // namespace mii::reports
