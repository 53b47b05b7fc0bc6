#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "reports/findings.h"
#include "search/collection.h"

namespace mii::reports {

/// What stands above every text that is made here.
extern const char* const kNotice;

/// A report of the collection.
struct SourceReport {
  std::string id;
  float similarity = 0;  ///< to the image that is asked about
  std::string text;
};

/// The hits that have a text in the column, the most similar first.
std::vector<SourceReport> reports_of(const search::Answer& answer, const std::string& column);

/// A sentence of a neighbour's report, as it stands there.
struct DraftSentence {
  struct Source {
    std::string id;
    float similarity = 0;
  };
  std::string text;
  std::vector<Source>
      sources;  ///< the reports that say the same, the most similar first; the text is of the first
  std::vector<Mention> findings;  ///< what it speaks of
  size_t contradicting = 0;       ///< reports that say the opposite of one of them
  double support = 0;             ///< share of the reports that say the same
};

/// A draft: quoted, never made up.
struct Draft {
  std::vector<DraftSentence> sentences;
  size_t reports = 0;    ///< neighbours with a text
  std::string why_not;   ///< where there are no sentences: a sentence that says why
  std::string warning;   ///< of the image's vector, made a little differently than the collection's; or empty
  size_t held_back = 0;  ///< sentences left out because they hold dates, numbers or names
};

struct DraftOptions {
  double least_support = 0.5;  ///< share of the reports, above 0, that must say the same
  size_t least_reports = 3;    ///< fewer neighbours with a text are not enough evidence
};

/// Throws Error{invalid_argument} for options that make no sense.
void check(const DraftOptions& options);

/// Sentences that say the same are those that speak of the same findings in the same way (present, possible,
/// absent), or that have the same words. One is taken where enough reports say it and more say it than
/// contradict it; no finding is spoken of twice. The order is that of the neighbours' reports. A sentence in
/// which dates, numbers or names are found (scrub.h) is never quoted.
Draft draft_of(const std::vector<SourceReport>& reports, const DraftOptions& options);

/// {"sentences": [{"text", "sources": [{"id", "similarity"}], "support", "contradicting", "findings":
/// {finding: polarity}}], "reports", "held_back", "evidence": "enough" or why not, "notice"}, and "warning"
/// where there is one
std::string to_json(const Draft& draft);
/// For people.
std::string to_text(const Draft& draft);

}  // namespace mii::reports
