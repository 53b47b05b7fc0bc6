#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "mii/matrix.h"

namespace mii {

/// A figure and its 95 % confidence interval.
struct Estimate {
  double value = 0;
  double low = 0;
  double high = 0;
};

/// Share of rows whose true column is among the k largest; a tie counts as a miss. scores [n, labels].
double top_k_accuracy(const Matrix& scores, std::span<const size_t> truth, size_t k);

/// Area under the ROC curve: the chance that a positive scores above a negative, a tie counting half.
/// NaN without positives or without negatives.
double roc_auc(std::span<const float> scores, const std::vector<bool>& positive);

/// The mean over the labels of the area under the curve of each against all others; labels without positives
/// are left out.
double macro_auc(const Matrix& scores, std::span<const size_t> truth);

/// counts [truth * labels + predicted].
std::vector<size_t> confusion(const Matrix& scores, std::span<const size_t> truth);

/// Estimates a statistic of rows: its value over all, and percentiles over `resamples` draws of whole groups
/// (patients) with replacement, since images of one patient are not independent. groups [n]; equal seeds give
/// equal intervals. Draws for which the statistic is NaN are left out.
Estimate bootstrap(std::span<const std::string> groups, size_t resamples, uint64_t seed,
                   const std::function<double(std::span<const size_t> rows)>& statistic);

/// [queries, labels]: how many of each query's k nearest references (cosine) have the label, minus rank / k
/// of the nearest one that has it (rank 0: the nearest of all), so that the nearer label wins a tie.
/// References of the query's own group do not vote. Vectors need not be of unit length.
Matrix nearest_neighbour_votes(const Matrix& references, std::span<const size_t> reference_labels,
                               std::span<const std::string> reference_groups, const Matrix& queries,
                               std::span<const std::string> query_groups, size_t labels, size_t k);

/// Points (false positive rate, true positive rate) of a ROC curve, from (0, 0) to (1, 1).
std::vector<std::pair<double, double>> roc_curve(std::span<const float> scores,
                                                 const std::vector<bool>& positive);

}  // namespace mii
