#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace mii::reports {

/// Bytes; longer ones are refused with Error{invalid_argument}.
constexpr size_t kLongestReport = 16 << 20;

/// The sentences of a report as they stand in it, without the space around them. Numbers of a list ("1.") and
/// other pieces without a letter are left out. By ICU's rules, and also where a space is missing
/// ("apex.There"). Bytes that are not UTF-8 are kept as they are.
std::vector<std::string> sentences_of(std::string_view report);

/// The words of a sentence, in lower case (ASCII), and its punctuation , ; : as words of their own. Digits,
/// apostrophes and everything beyond ASCII belong to words.
std::vector<std::string> words_of(std::string_view sentence);

}  // namespace mii::reports
