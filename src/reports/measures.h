#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "stats/bootstrap.h"

namespace mii::reports {

/// Reports beside those that they are measured against.
struct ReportRows {
  std::vector<std::string> references;
  std::vector<std::string> headings;  ///< Open-i's, that tell the findings of the references; or empty
  std::vector<std::string>
      candidates;                     ///< or empty: the references themselves are read, to measure the rules
  std::vector<std::string> patients;  ///< those of one are drawn together; empty: each is alone
};

/// Of one set of texts. The findings of a reference are those of its headings where there are headings, else
/// those that the rules find in it; a text has those that it says are present.
struct ReportFigures {
  std::string name;  ///< "candidate", "constant", "random"
  stats::Estimate micro_f1, micro_precision, micro_recall, macro_f1;
  stats::Estimate bleu[4];
  stats::Estimate rouge_l;
};

struct FindingFigures {
  std::string finding;
  size_t found = 0, false_found = 0, missed = 0;  ///< by the candidates
  double f1() const;
};

struct ReportMeasures {
  size_t rows = 0, patients = 0;
  std::vector<ReportFigures> figures;    ///< the candidates and, beside them always, two baselines
  std::vector<FindingFigures> findings;  ///< those that occur, the most frequent first
  std::string constant;                  ///< the text of the constant baseline
};

/// Measures candidates beside the constant report and the random one. The first is made of the sentences that
/// most references hold, none that says the same as one before it, as long as references are in the mean. The
/// second is the reference of another patient, drawn with the seed. Throws Error{invalid_argument} for lists
/// of different lengths or nothing to measure.
ReportMeasures measure_reports(const ReportRows& rows, const stats::BootstrapOptions& options);

std::string to_json(const ReportMeasures& measures);
std::string to_table(const ReportMeasures& measures);

}  // namespace mii::reports
