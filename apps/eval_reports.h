#pragma once

#include <CLI/CLI.hpp>
#include <cstddef>
#include <string>
#include <vector>

namespace mii {

/// The flags of `mii eval TABLE --reports`.
struct ReportFlags {
  bool reports = false;
  std::vector<std::string> references{"text"};  ///< columns, joined by a space
  std::string candidates;
  std::string headings;

  /// To be called when the command has its other flags, some of which make no sense here.
  void add_to(CLI::App& command);
};

/// Measures the reports of a table and prints the figures. json: a file; empty: none.
int evaluate_reports(const ReportFlags& flags, const std::string& table,
                     const std::vector<std::string>& where, size_t resamples, const std::string& json);

}  // namespace mii
