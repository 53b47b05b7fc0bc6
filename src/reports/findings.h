#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace mii::reports {

/// How a text speaks of a finding.
enum class Polarity {
  absent,    ///< "no pleural effusion", "the effusion has resolved"
  possible,  ///< "may represent pneumonia"
  present,
};
std::string_view to_string(Polarity polarity);

/// A finding that a text speaks of.
struct Mention {
  size_t finding;  ///< its number in finding_names()
  Polarity polarity;
  auto operator<=>(const Mention&) const = default;
};

/// The findings of chest radiographs that the rules of findings.tsv know, in English.
const std::vector<std::string>& finding_names();

/// Those of a sentence, in the order of their numbers, each once: as present rather than possible, and
/// possible rather than absent. Rules, nothing that was learnt: words that name a finding; whether a negation
/// ("no", "without", "has resolved") or a doubt ("may", "versus") reaches them. Of a sentence, the first 500
/// words are read. docs/reports.md.
std::vector<Mention> findings_in_sentence(std::string_view sentence);

/// Those of all sentences of a report.
std::vector<Mention> findings_in(std::string_view report);

/// The findings that Open-i's headings (the column MeSH) stand for: numbers, ascending.
std::vector<size_t> findings_of_headings(std::string_view headings);

}  // namespace mii::reports
