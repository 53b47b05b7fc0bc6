#include "reports/draft.h"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <map>
#include <set>

#include "core/json_writer.h"
#include "mii/error.h"
#include "reports/scrub.h"
#include "reports/sentences.h"

namespace mii::reports {
namespace {

/// What a sentence says: its findings, or where it speaks of none, its words.
struct Statement {
  std::vector<Mention> findings;
  std::vector<std::string> words;
  auto operator<=>(const Statement&) const = default;
};

struct Quote {
  size_t report;
  std::string text;
  double place;  ///< in its report, 0 to 1
};

/// The reports that make a statement, one quote each.
struct Group {
  std::vector<Quote> quotes;
  double place() const {
    double sum = 0;
    for (const Quote& quote : quotes) sum += quote.place;
    return sum / static_cast<double>(quotes.size());
  }
};

using Groups = std::map<Statement, Group>;

Statement statement_of(const std::string& sentence) {
  Statement statement{findings_in_sentence(sentence), {}};
  if (statement.findings.empty()) statement.words = words_of(sentence);
  return statement;
}

Groups group(const std::vector<SourceReport>& reports, size_t& held_back) {
  Groups groups;
  for (size_t r = 0; r < reports.size(); ++r) {
    const std::vector<std::string> sentences = sentences_of(reports[r].text);
    for (size_t s = 0; s < sentences.size(); ++s) {
      if (scrub(sentences[s]).any()) {
        ++held_back;
        continue;
      }
      std::vector<Quote>& quotes = groups[statement_of(sentences[s])].quotes;
      if (quotes.empty() || quotes.back().report != r)
        quotes.push_back({r, sentences[s], static_cast<double>(s) / static_cast<double>(sentences.size())});
    }
  }
  return groups;
}

bool contradicts(const Mention& one, const Mention& other) {
  return one.finding == other.finding &&
         (one.polarity == Polarity::absent) != (other.polarity == Polarity::absent);
}

/// The reports that say the opposite of one of the findings.
size_t count_contradicting(const std::vector<std::vector<Mention>>& findings_of_reports,
                           const std::vector<Mention>& findings) {
  return static_cast<size_t>(std::ranges::count_if(findings_of_reports, [&](const auto& there) {
    return std::ranges::any_of(there, [&](const Mention& other) {
      return std::ranges::any_of(findings, [&](const Mention& one) { return contradicts(one, other); });
    });
  }));
}

DraftSentence sentence_of(const Statement& statement, const Group& group,
                          const std::vector<SourceReport>& reports) {
  DraftSentence sentence{.text = group.quotes.front().text, .findings = statement.findings};
  for (const Quote& quote : group.quotes)
    sentence.sources.push_back({reports[quote.report].id, reports[quote.report].similarity});
  sentence.support = static_cast<double>(group.quotes.size()) / static_cast<double>(reports.size());
  return sentence;
}

void write(JsonWriter& json, const DraftSentence& sentence) {
  json.begin_object().member("text", sentence.text).key("sources").begin_array();
  for (const auto& [id, similarity] : sentence.sources)
    json.begin_object().member("id", id).member("similarity", double{similarity}).end_object();
  json.end_array()
      .member("support", sentence.support)
      .member("contradicting", sentence.contradicting)
      .key("findings")
      .begin_object();
  for (const Mention& mention : sentence.findings)
    json.member(finding_names()[mention.finding], to_string(mention.polarity));
  json.end_object().end_object();
}

}  // namespace

const char* const kNotice = "draft of a research system; not a report, not for diagnosis";

std::vector<SourceReport> reports_of(const search::Answer& answer, const std::string& column) {
  std::vector<SourceReport> reports;
  for (const search::Hit& hit : answer.hits)
    if (const std::string_view text = hit.item.value(column); !text.empty())
      reports.push_back({hit.item.id, hit.similarity, std::string(text)});
  return reports;
}

void check(const DraftOptions& options) {
  if (!(options.least_support > 0 && options.least_support <= 1))
    throw Error(ErrorCode::invalid_argument, "support of a sentence: expected a share above 0 and up to 1");
}

Draft draft_of(const std::vector<SourceReport>& reports, const DraftOptions& options) {
  check(options);
  Draft draft{.reports = reports.size()};
  if (reports.size() < std::max<size_t>(options.least_reports, 1)) {
    draft.why_not = "not enough evidence: " + std::to_string(reports.size()) +
                    " similar images have a text, " + std::to_string(options.least_reports) + " are needed";
    return draft;
  }
  std::vector<std::vector<Mention>> findings_of_reports;
  for (const SourceReport& report : reports) findings_of_reports.push_back(findings_in(report.text));
  const Groups groups = group(reports, draft.held_back);

  std::vector<std::pair<const Statement*, const Group*>> by_support;
  for (const auto& [statement, group] : groups) by_support.emplace_back(&statement, &group);
  std::ranges::stable_sort(by_support, std::greater(),
                           [](const auto& entry) { return entry.second->quotes.size(); });
  std::set<size_t> spoken_of;
  std::vector<std::pair<double, DraftSentence>> chosen;
  for (const auto& [statement, group] : by_support) {
    DraftSentence sentence = sentence_of(*statement, *group, reports);
    sentence.contradicting = count_contradicting(findings_of_reports, sentence.findings);
    const bool known = std::ranges::any_of(
        sentence.findings, [&](const Mention& mention) { return spoken_of.contains(mention.finding); });
    if (known || sentence.support < options.least_support ||
        sentence.sources.size() <= sentence.contradicting)
      continue;
    for (const Mention& mention : sentence.findings) spoken_of.insert(mention.finding);
    chosen.emplace_back(group->place(), std::move(sentence));
  }
  std::ranges::stable_sort(chosen, {}, [](const auto& entry) { return entry.first; });
  for (auto& [place, sentence] : chosen) draft.sentences.push_back(std::move(sentence));
  if (draft.sentences.empty())
    draft.why_not = "not enough evidence: no sentence is said by enough of the " +
                    std::to_string(reports.size()) + " similar images' reports";
  return draft;
}

std::string to_json(const Draft& draft) {
  JsonWriter json(JsonWriter::Style::spaced);
  json.begin_object().key("sentences").begin_array();
  for (const DraftSentence& sentence : draft.sentences) write(json, sentence);
  json.end_array()
      .member("reports", draft.reports)
      .member("held_back", draft.held_back)
      .member("evidence",
              draft.why_not.empty() ? std::string_view("enough") : std::string_view(draft.why_not))
      .member("notice", kNotice);
  if (!draft.warning.empty()) json.member("warning", draft.warning);
  return json.end_object().finish();
}

std::string to_text(const Draft& draft) {
  std::string text = "[";
  text.append(kNotice).append("]\n");
  if (!draft.why_not.empty()) text += draft.why_not + "\n";
  for (const DraftSentence& sentence : draft.sentences) {
    const auto& [id, similarity] = sentence.sources.front();
    char numbers[96];
    std::snprintf(numbers, sizeof numbers, "    said by %zu of %zu, contradicted by %zu; quoted (%.4f) from ",
                  sentence.sources.size(), draft.reports, sentence.contradicting, double{similarity});
    text += sentence.text + "\n" + numbers + id + "\n";
  }
  if (draft.held_back > 0)
    text += std::to_string(draft.held_back) + " sentences with dates, numbers or names were held back\n";
  return text;
}

}  // namespace mii::reports
