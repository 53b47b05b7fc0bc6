#pragma once

#include <span>
#include <string>
#include <vector>

#include "eval/result.h"

namespace mii {

[[gnu::format(printf, 1, 2)]] std::string format(const char* pattern, ...);

// Figures for people, with the interval where there is one; "-" for NaN.

std::string percent(double share);               ///< 95.3 %
std::string percent(const Estimate& e);          ///< 95.3 % (92.1-97.6)
std::string fraction(double value);              ///< 0.9984
std::string fraction(const Estimate& e);         ///< 0.9984 (0.9974-0.9995)
std::string number(double value);                ///< 12.34
std::string number(const Estimate& e);           ///< 12.34 (11.5 to 13.2)
std::string signed_percent(const Estimate& e);   ///< +1.5 % (-0.5 to +3.5)
std::string signed_fraction(const Estimate& e);  ///< +0.0150 (-0.0050 to +0.0350)
std::string p_value(double p);                   ///< 0.0312, "< 0.0001"

/// A figure of the first k items that a search gives.
struct RetrievalColumn {
  const char* name;
  const char* key;  ///< in JSON
  stats::Averaged stats::RetrievalFigures::AtK::*which;
};
inline constexpr RetrievalColumn kRetrievalColumns[] = {
    {"precision", "precision", &stats::RetrievalFigures::AtK::precision},
    {"capped precision", "capped_precision", &stats::RetrievalFigures::AtK::capped_precision},
    {"recall", "recall", &stats::RetrievalFigures::AtK::recall},
    {"mAP", "map", &stats::RetrievalFigures::AtK::average_precision},
    {"majority", "majority", &stats::RetrievalFigures::AtK::majority},
};
/// The header and the rows of a table of them, for people.
std::vector<std::string> retrieval_header();
std::vector<std::vector<std::string>> retrieval_rows(const stats::RetrievalFigures& figures);

/// "images", or of a search of volumes "volumes".
const char* items_name(const TaskResult& task);
/// "123 images"; "12 volumes (340 slices)"
std::string items_text(const TaskResult& task);
/// The same of the index.
std::string indexed_text(const TaskResult& task);

/// Mean and standard deviation over the draws: 0.7140 (sd 0.0210); without the latter for one draw.
std::string over_draws(std::span<const FewShotFigures> draws, double FewShotFigures::*which);
double mean_over_draws(std::span<const FewShotFigures> draws, double FewShotFigures::*which);

}  // namespace mii
