#include "eval/format.h"

#include <cmath>
#include <cstdarg>
#include <cstdio>

namespace mii {

std::string format(const char* pattern, ...) {
  char buffer[512];
  va_list arguments;
  va_start(arguments, pattern);
  std::vsnprintf(buffer, sizeof(buffer), pattern, arguments);
  va_end(arguments);
  return buffer;
}

std::string percent(double share) { return std::isnan(share) ? "-" : format("%.1f %%", 100 * share); }

std::string number(double value) { return std::isnan(value) ? "-" : format("%.4g", value); }

std::string number(const Estimate& e) {
  return number(e.value) + (std::isnan(e.low) ? "" : " (" + number(e.low) + " to " + number(e.high) + ")");
}

std::string fraction(double value) { return std::isnan(value) ? "-" : format("%.4f", value); }

std::string percent(const Estimate& e) {
  if (std::isnan(e.value)) return "-";
  return format("%.1f %%", 100 * e.value) +
         (std::isnan(e.low) ? "" : format(" (%.1f-%.1f)", 100 * e.low, 100 * e.high));
}

std::string fraction(const Estimate& e) {
  if (std::isnan(e.value)) return "-";
  return format("%.4f", e.value) + (std::isnan(e.low) ? "" : format(" (%.4f-%.4f)", e.low, e.high));
}

std::string signed_percent(const Estimate& e) {
  if (std::isnan(e.value)) return "-";
  return format("%+.1f %%", 100 * e.value) +
         (std::isnan(e.low) ? "" : format(" (%+.1f to %+.1f)", 100 * e.low, 100 * e.high));
}

std::string signed_fraction(const Estimate& e) {
  if (std::isnan(e.value)) return "-";
  return format("%+.4f", e.value) + (std::isnan(e.low) ? "" : format(" (%+.4f to %+.4f)", e.low, e.high));
}

std::string p_value(double p) {
  if (std::isnan(p)) return "-";
  return p < 0.0001 ? "< 0.0001" : format("%.4f", p);
}

std::vector<std::string> retrieval_header() {
  std::vector<std::string> header{"average", "k"};
  for (const RetrievalColumn& column : kRetrievalColumns) header.emplace_back(column.name);
  return header;
}

std::vector<std::vector<std::string>> retrieval_rows(const stats::RetrievalFigures& figures) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& [name, average] :
       {std::pair("micro", &stats::Averaged::micro), std::pair("macro", &stats::Averaged::macro)}) {
    for (const auto& at : figures.at) {
      std::vector<std::string>& row = rows.emplace_back(std::vector<std::string>{name, std::to_string(at.k)});
      for (const RetrievalColumn& column : kRetrievalColumns)
        row.push_back(percent(at.*column.which.*average));
    }
  }
  return rows;
}

const char* items_name(const TaskResult& task) {
  return task.retrieval && task.retrieval->slices ? "volumes" : "images";
}

std::string items_text(const TaskResult& task) {
  std::string text = format("%zu %s", task.images, items_name(task));
  if (task.retrieval && task.retrieval->slices)
    text += format(" (%zu slices)", task.retrieval->slices->asked);
  return text;
}

std::string indexed_text(const TaskResult& task) {
  std::string text = format("%zu %s", task.retrieval->indexed, items_name(task));
  if (task.retrieval->slices) text += format(" (%zu slices)", task.retrieval->slices->indexed);
  return text;
}

double mean_over_draws(std::span<const FewShotFigures> draws, double FewShotFigures::*which) {
  double sum = 0;
  for (const FewShotFigures& draw : draws) sum += draw.*which;
  return sum / static_cast<double>(draws.size());
}

std::string over_draws(std::span<const FewShotFigures> draws, double FewShotFigures::*which) {
  const double mean = mean_over_draws(draws, which);
  if (draws.size() < 2) return fraction(mean);
  double squares = 0;
  for (const FewShotFigures& draw : draws) squares += (draw.*which - mean) * (draw.*which - mean);
  return fraction(mean) + format(" (sd %.4f)", std::sqrt(squares / static_cast<double>(draws.size() - 1)));
}

}  // namespace mii
