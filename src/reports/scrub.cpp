#include "reports/scrub.h"

#include <algorithm>
#include <memory>
#include <numeric>

#include <unicode/regex.h>
#include <unicode/unistr.h>

#include "mii/error.h"

namespace mii::reports {
namespace {

constexpr const char* kMask = "XXXX";

#define MII_MONTH                                                                                          \
  "(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:" \
  "ober)?|nov(?:ember)?|dec(?:ember)?)"

struct Pattern {
  Personal kind;
  const char* text;
  bool any_case;
};

// Each is linear in the text: no pattern has a repetition within a repetition.
constexpr Pattern kPatterns[] = {
    {Personal::address, "\\b[\\w.+-]{1,64}@[\\w-]{1,64}(?:\\.[\\w-]{1,64}){1,4}|\\bhttps?://\\S{1,500}",
     true},
    {Personal::date, "\\b\\d{1,4}([/.-])\\d{1,2}\\1\\d{2,4}\\b", true},
    {Personal::date, "\\b\\d{1,2}/\\d{4}\\b", true},
    {Personal::date,
     "\\b" MII_MONTH "\\.?\\s{1,3}\\d{1,2}(?:st|nd|rd|th)?(?:,?\\s{1,3}\\d{4})?\\b"
     "|\\b\\d{1,2}(?:st|nd|rd|th)?\\s{1,3}(?:of\\s{1,3})?" MII_MONTH "(?:,?\\s{1,3}\\d{4})?\\b"
     "|\\b" MII_MONTH ",?\\s{1,3}\\d{4}\\b",
     true},
    {Personal::date, "\\b(?:19|20)\\d{2}\\b", true},
    {Personal::time,
     "\\b\\d{1,2}:\\d{2}(?::\\d{2})?(?:\\s?[ap]\\.?m\\b)?|\\b\\d{1,4}\\s?(?:hours|hrs)\\b(?=\\s+on\\b)",
     true},
    {Personal::number, "\\+?\\b\\d{1,4}(?:[ -]\\d{2,4}){2,4}\\b|\\d{5,64}|\\b[A-Za-z]{1,4}-?\\d{4,64}", true},
    {Personal::name,
     "\\b(?:Dr|Mr|Mrs|Ms|Prof|Doctor|Professor|DR|MR|MRS|MS|PROF)\\b\\.?\\s{1,3}"
     "(?:\\p{Lu}\\.\\s?){0,3}\\p{Lu}[\\p{L}'-]*(?:\\s\\p{Lu}\\.)?(?:\\s\\p{Lu}[\\p{L}'-]*)?"
     "|(?<=\\b(?i:signed by|dictated by|read by|interpreted by|reported to|discussed with):?\\s)"
     "(?:\\p{Lu}\\.\\s?){0,3}\\p{Lu}[\\p{L}'-]*(?:\\s\\p{Lu}[\\p{L}'.-]*){0,2}",
     false},
};

#undef MII_MONTH

void expect_success(UErrorCode status) {
  if (U_FAILURE(status)) throw Error(ErrorCode::internal, std::string("ICU: ") + u_errorName(status));
}

icu::RegexPattern* compiled(const Pattern& pattern) {
  UErrorCode status = U_ZERO_ERROR;
  UParseError where;
  icu::RegexPattern* made =
      icu::RegexPattern::compile(icu::UnicodeString::fromUTF8(pattern.text),
                                 pattern.any_case ? uint32_t{UREGEX_CASE_INSENSITIVE} : 0u, where, status);
  expect_success(status);
  return made;
}

const std::array<std::unique_ptr<icu::RegexPattern>, std::size(kPatterns)>& patterns() {
  static const auto made = [] {
    std::array<std::unique_ptr<icu::RegexPattern>, std::size(kPatterns)> all;
    for (size_t i = 0; i < all.size(); ++i) all[i].reset(compiled(kPatterns[i]));
    return all;
  }();
  return made;
}

// The mask is put where the patterns cannot find it again.
size_t mask(icu::UnicodeString& text, const icu::RegexPattern& pattern) {
  UErrorCode status = U_ZERO_ERROR;
  const std::unique_ptr<icu::RegexMatcher> matcher(pattern.matcher(text, status));
  expect_success(status);
  size_t found = 0;
  icu::UnicodeString masked;
  int32_t copied = 0;
  while (matcher->find(status) != 0) {
    masked.append(text, copied, matcher->start(status) - copied).append(icu::UnicodeString(kMask));
    copied = matcher->end(status);
    ++found;
  }
  expect_success(status);
  if (found > 0) text = masked.append(text, copied, text.length() - copied);
  return found;
}

}  // namespace

std::string_view to_string(Personal kind) {
  constexpr std::array<std::string_view, kPersonalKinds> names{"date", "time", "number", "name", "address"};
  return names[static_cast<size_t>(kind)];
}

bool Scrubbed::any() const { return std::accumulate(found.begin(), found.end(), size_t{0}) > 0; }

Scrubbed scrub(std::string_view text) {
  Scrubbed result;
  icu::UnicodeString changed =
      icu::UnicodeString::fromUTF8(icu::StringPiece(text.data(), static_cast<int32_t>(text.size())));
  for (size_t i = 0; i < std::size(kPatterns); ++i)
    result.found[static_cast<size_t>(kPatterns[i].kind)] += mask(changed, *patterns()[i]);
  changed.toUTF8String(result.text);
  return result;
}

}  // namespace mii::reports
