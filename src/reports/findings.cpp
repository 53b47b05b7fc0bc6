#include "reports/findings.h"

#include <algorithm>
#include <map>
#include <optional>
#include <span>

#include "mii/error.h"
#include "reports/finding_table.h"
#include "reports/sentences.h"

namespace mii::reports {
namespace {

using Words = std::vector<std::string>;
using Phrase = std::vector<std::string>;

constexpr std::string_view kGap = "...";
constexpr size_t kLongestGap = 5;  // words
constexpr size_t kReachBehind = 6;
constexpr size_t kLongestSentence = 500;  // words; no sentence is longer, and time grows with the square

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(separator, begin), text.size());
    parts.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

struct Finding {
  std::string name;
  std::vector<Phrase> phrases;
  std::vector<std::string> headings;
};

std::vector<Finding> read_table() {
  std::vector<Finding> findings;
  for (const std::string& line : split(kFindingTable, '\n')) {
    if (line.empty() || line.front() == '#') continue;
    const std::vector<std::string> fields = split(line, '\t');
    if (fields.size() != 3) throw Error(ErrorCode::internal, "findings.tsv: '" + line + "'");
    Finding finding{fields[0], {}, split(fields[2], ';')};
    for (const std::string& phrase : split(fields[1], '|')) finding.phrases.push_back(split(phrase, ' '));
    findings.push_back(std::move(finding));
  }
  return findings;
}

const std::vector<Finding>& table() {
  static const std::vector<Finding> findings = read_table();
  return findings;
}

// * stands for any letters, at one end or both.
bool fits(std::string_view pattern, std::string_view word) {
  const bool open_front = pattern.starts_with('*');
  if (open_front) pattern.remove_prefix(1);
  const bool open_back = pattern.ends_with('*');
  if (open_back) pattern.remove_suffix(1);
  if (open_front && open_back) return word.find(pattern) != std::string_view::npos;
  if (open_front) return word.ends_with(pattern);
  return open_back ? word.starts_with(pattern) : word == pattern;
}

std::vector<Phrase> phrases(std::initializer_list<std::string_view> texts) {
  std::vector<Phrase> made;
  for (const std::string_view text : texts) made.push_back(split(text, ' '));
  return made;
}

// Behind these a negation or doubt reaches no further.
bool ends_reach(const std::string& word) {
  static const Words ends{";", "but", "however", "although", "though", "except"};
  return std::ranges::find(ends, word) != ends.end();
}

// Behind a comma, these begin something new: "no pneumothorax, mild cardiomegaly".
bool begins_anew(const std::string& word) {
  static const Words beginnings{"mild", "mildly", "minimal",   "small", "moderate", "stable", "there",
                                "is",   "are",    "unchanged", "again", "left",     "right"};
  return std::ranges::find(beginnings, word) != beginnings.end();
}

const std::vector<Phrase>& negations() {
  static const std::vector<Phrase> cues = phrases(
      {"no",     "not",           "without",  "negative for", "free of",      "absence of", "absent",
       "never",  "resolution of", "resolved", "rather than",  "clear of",     "lack of",    "cannot",
       "denies", "rule out",      "exclude",  "history of",   "evaluate for", "nor",        "neither"});
  return cues;
}

// Look like negations and are none.
const std::vector<Phrase>& no_negations() {
  static const std::vector<Phrase> cues = phrases({"no change",
                                                   "no significant change",
                                                   "no interval change",
                                                   "not significantly changed",
                                                   "not changed",
                                                   "no significant interval change",
                                                   "without change",
                                                   "without significant change",
                                                   "not definitely",
                                                   "not well",
                                                   "no increase",
                                                   "cannot exclude",
                                                   "not excluded",
                                                   "cannot be excluded",
                                                   "not entirely excluded",
                                                   "not completely excluded",
                                                   "may not",
                                                   "not only",
                                                   "no further",
                                                   "not fully",
                                                   "not clearly",
                                                   "difficult to exclude"});
  return cues;
}

const std::vector<Phrase>& negations_behind() {
  static const std::vector<Phrase> cues =
      phrases({"is not",         "are not",      "not seen",        "not identified", "not demonstrated",
               "not visualized", "not present",  "not appreciated", "not evident",    "not visible",
               "not enlarged",   "has resolved", "have resolved",   "resolved",       "is absent",
               "are absent",     "is normal",    "are normal",      "within normal",  "unremarkable",
               "has cleared",    "have cleared", "is clear",        "are clear",      "no longer",
               "is excluded"});
  return cues;
}

const std::vector<Phrase>& doubts() {
  static const std::vector<Phrase> cues =
      phrases({"may", "could", "might", "possibly", "possible", "question", "questionable", "versus", "vs",
               "concern", "concerning", "exclude", "suspicious for", "suggest a", "to suggest"});
  return cues;
}

const std::vector<Phrase>& doubts_behind() {
  static const std::vector<Phrase> cues = phrases(
      {"cannot be excluded", "not excluded", "not entirely excluded", "not be excluded", "is possible"});
  return cues;
}

struct Match {
  size_t begin, end, finding;
  size_t length() const { return end - begin; }
};

/// The end of a phrase that begins at a word.
std::optional<size_t> end_of(std::span<const std::string> phrase, const Words& words, size_t at) {
  if (phrase.empty()) return at;
  if (phrase.front() == kGap) {
    for (size_t gap = 0; gap <= kLongestGap && at + gap < words.size(); ++gap) {
      if (ends_reach(words[at + gap])) return std::nullopt;
      if (const auto end = end_of(phrase.subspan(1), words, at + gap)) return end;
    }
    return std::nullopt;
  }
  if (at >= words.size() || !fits(phrase.front(), words[at])) return std::nullopt;
  return end_of(phrase.subspan(1), words, at + 1);
}

bool stands_at(const Phrase& cue, const Words& words, size_t at) {
  return at + cue.size() <= words.size() &&
         std::equal(cue.begin(), cue.end(), words.begin() + static_cast<std::ptrdiff_t>(at));
}

bool any_stands_at(const std::vector<Phrase>& cues, const Words& words, size_t at) {
  return std::ranges::any_of(cues, [&](const Phrase& cue) { return stands_at(cue, words, at); });
}

// Within "cannot exclude", say.
bool is_in_no_negation(const Words& words, size_t at) {
  for (const Phrase& cue : no_negations())
    for (size_t back = 0; back < cue.size() && back <= at; ++back)
      if (stands_at(cue, words, at - back)) return true;
  return false;
}

// A comma behind which something new begins, or a sentence within the sentence.
bool is_cut_off(std::span<const std::string> between) {
  const auto comma = std::ranges::find(between.rbegin(), between.rend(), ",");
  if (comma != between.rend() && std::any_of(comma.base(), between.end(), begins_anew)) return true;
  return std::ranges::any_of(between, [](const std::string& w) { return w == "there" || w == "with"; });
}

size_t reach_begin(const Words& words, const Match& match) {
  for (size_t at = match.begin; at > 0; --at)
    if (ends_reach(words[at - 1])) return at;
  return 0;
}

bool is_negated(const Words& words, const Match& match) {
  for (size_t at = reach_begin(words, match); at < match.end; ++at)
    for (const Phrase& cue : negations()) {
      const size_t end = at + cue.size();
      if (end > match.end || !stands_at(cue, words, at) || is_in_no_negation(words, at)) continue;
      // Within the match: "heart is not enlarged".
      if (end > match.begin || !is_cut_off(std::span(words).subspan(end, match.begin - end))) return true;
    }
  for (size_t at = match.end; at < words.size() && at < match.end + kReachBehind; ++at) {
    if (ends_reach(words[at]) || words[at] == ",") break;
    if (any_stands_at(negations_behind(), words, at) && !is_in_no_negation(words, at)) return true;
  }
  return false;
}

bool is_doubted(const Words& words, const Match& match) {
  for (size_t at = reach_begin(words, match); at < match.begin; ++at)
    if (any_stands_at(doubts(), words, at)) return true;
  for (size_t at = match.end; at < words.size() && at < match.end + kReachBehind; ++at) {
    if (ends_reach(words[at]) || words[at] == ",") break;
    if (any_stands_at(doubts_behind(), words, at)) return true;
  }
  return false;
}

// "calcified granuloma" is no "granuloma": what lies in a longer match of another finding does not count.
bool is_within_another(const Match& match, const std::vector<Match>& matches) {
  return std::ranges::any_of(matches, [&](const Match& other) {
    return other.finding != match.finding && other.begin <= match.begin && match.end <= other.end &&
           other.length() > match.length();
  });
}

std::vector<Match> matches_in(const Words& words) {
  std::vector<Match> matches;
  for (size_t finding = 0; finding < table().size(); ++finding)
    for (const Phrase& phrase : table()[finding].phrases)
      for (size_t at = 0; at < words.size(); ++at)
        if (const auto end = end_of(phrase, words, at)) matches.push_back({at, *end, finding});
  return matches;
}

std::vector<Mention> in_order(const std::map<size_t, Polarity>& strongest) {
  std::vector<Mention> mentions;
  for (const auto& [finding, polarity] : strongest) mentions.push_back({finding, polarity});
  return mentions;
}

void add(std::map<size_t, Polarity>& strongest, const Mention& mention) {
  const auto [there, is_new] = strongest.try_emplace(mention.finding, mention.polarity);
  if (!is_new) there->second = std::max(there->second, mention.polarity);
}

}  // namespace

std::string_view to_string(Polarity polarity) {
  return polarity == Polarity::present ? "present" : polarity == Polarity::possible ? "possible" : "absent";
}

const std::vector<std::string>& finding_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> made;
    for (const Finding& finding : table()) made.push_back(finding.name);
    return made;
  }();
  return names;
}

std::vector<Mention> findings_in_sentence(std::string_view sentence) {
  Words words = words_of(sentence);
  if (words.size() > kLongestSentence) words.resize(kLongestSentence);
  const std::vector<Match> matches = matches_in(words);
  std::map<size_t, Polarity> strongest;
  for (const Match& match : matches) {
    if (is_within_another(match, matches)) continue;
    add(strongest, {match.finding, is_negated(words, match)   ? Polarity::absent
                                   : is_doubted(words, match) ? Polarity::possible
                                                              : Polarity::present});
  }
  return in_order(strongest);
}

std::vector<Mention> findings_in(std::string_view report) {
  std::map<size_t, Polarity> strongest;
  for (const std::string& sentence : sentences_of(report))
    for (const Mention& mention : findings_in_sentence(sentence)) add(strongest, mention);
  return in_order(strongest);
}

std::vector<size_t> findings_of_headings(std::string_view headings) {
  std::vector<size_t> findings;
  for (const std::string& heading : split(headings, ';')) {
    std::vector<std::string> parts = split(heading, '/');
    for (std::string& part : parts) {
      part.erase(part.find_last_not_of(' ') + 1);
      part.erase(0, part.find_first_not_of(' '));
    }
    for (size_t finding = 0; finding < table().size(); ++finding) {
      const bool stands = std::ranges::any_of(table()[finding].headings, [&](const std::string& wanted) {
        return wanted == parts.front() || std::any_of(parts.begin() + 1, parts.end(), [&](const auto& part) {
                 return wanted == parts.front() + "/" + part;
               });
      });
      if (stands) findings.push_back(finding);
    }
  }
  std::ranges::sort(findings);
  findings.erase(std::unique(findings.begin(), findings.end()), findings.end());
  return findings;
}

}  // namespace mii::reports
