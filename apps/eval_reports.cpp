#include "eval_reports.h"

#include <cstdio>

#include "commands.h"
#include "core/file.h"
#include "core/utf8.h"
#include "dataset/table.h"
#include "mii/error.h"
#include "reports/measures.h"

namespace mii {
namespace {

constexpr const char* kPatient = "patient";

void expect_column(const Table& table, const std::string& name, const std::string& column) {
  if (!table.has(column)) throw Error(ErrorCode::invalid_argument, name + ": has no column '" + column + "'");
}

std::string joined(const Table& table, size_t row, const std::vector<std::string>& columns) {
  std::string text;
  for (const std::string& column : columns)
    if (const std::string& part = table.at(row, column); !part.empty())
      text += (text.empty() ? "" : " ") + part;
  return text;
}

reports::ReportRows rows_of(const ReportFlags& flags, const Table& table) {
  reports::ReportRows rows;
  for (size_t row = 0; row < table.rows(); ++row) {
    std::string reference = joined(table, row, flags.references);
    if (reference.empty()) continue;
    rows.references.push_back(std::move(reference));
    if (!flags.candidates.empty()) rows.candidates.push_back(table.at(row, flags.candidates));
    if (!flags.headings.empty()) rows.headings.push_back(table.at(row, flags.headings));
    if (table.has(kPatient)) {
      const std::string& patient = table.at(row, kPatient);
      rows.patients.push_back(patient.empty() ? "\nrow " + std::to_string(row) : patient);  // alone
    }
  }
  return rows;
}

}  // namespace

void ReportFlags::add_to(CLI::App& command) {
  CLI::Option* asked = command.add_flag("--reports", reports,
                                        "Measure the reports of a table, beside a constant and a random one");
  command
      .add_option("--reference", references,
                  "With --reports: columns with the reports that are right, such as findings,impression")
      ->delimiter(',')
      ->capture_default_str()
      ->needs(asked);
  command.add_option("--candidate", candidates, "With --reports: column with the reports to be measured")
      ->needs(asked);
  command
      .add_option(
          "--headings", headings,
          "With --reports: column with the findings as Open-i writes them (MeSH); else the rules read the "
          "references. Without --candidate the rules themselves are measured")
      ->needs(asked);
  for (const char* of_images :
       {"--tasks", "--field", "--number", "--retrieval", "--head", "--few-shot", "--compare",
        "--compare-precision", "--subgroup", "--prevalence", "--html", "--explain"})
    asked->excludes(command.get_option(of_images));
}

int evaluate_reports(const ReportFlags& flags, const std::string& name, const std::vector<std::string>& where,
                     size_t resamples, const std::string& json) {
  Table table = Table::read(name);
  for (const std::string& condition : where) table.keep_where(condition);
  for (const std::string& column : flags.references) expect_column(table, name, column);
  for (const std::string& column : {flags.candidates, flags.headings})
    if (!column.empty()) expect_column(table, name, column);
  const reports::ReportMeasures measures = measure_reports(rows_of(flags, table), {.resamples = resamples});
  std::fputs(printable_lines(to_table(measures)).c_str(), stdout);
  if (!json.empty()) write_file(json, to_json(measures) + "\n");
  return kOk;
}

}  // namespace mii
