#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "mii/matrix.h"
#include "stats/binary.h"
#include "stats/estimate.h"

namespace mii::stats {

/// Scores of cases for several labels, with the label that is right, sorted once: figures of them all, also
/// of bootstrap draws.
class RankedAnswers {
 public:
  /// scores [n, K], truth [n] below K. Throws Error{invalid_argument} for scores that are not finite or sizes
  /// that differ.
  RankedAnswers(const Matrix& scores, std::span<const size_t> truth);

  size_t labels() const { return by_label_.size(); }

  /// Share of cases whose true label is among the k best; a tie counts as a miss. NaN without cases.
  double top_k_accuracy(size_t k, Multiplicities times = {}) const;

  /// The mean over the labels of the AUC of each against all others; labels without positives or without
  /// negatives are left out. NaN where all are.
  double macro_auc(Multiplicities times = {}) const;

  /// One label against all others.
  const RankedScores& label(size_t k) const { return by_label_[k]; }

  /// The label with the largest score of each case, of equals the first.
  const std::vector<size_t>& answers() const { return answers_; }

  /// counts [truth * K + answer].
  std::vector<size_t> confusion() const;

 private:
  std::vector<size_t> truth_;
  std::vector<size_t> rank_;  // of the true label, from 1; among equals the last
  std::vector<size_t> answers_;
  std::vector<RankedScores> by_label_;
};

/// [n] of a column.
std::vector<float> column(const Matrix& m, size_t c);

/// Whether each is `label`.
std::vector<bool> is_label(std::span<const size_t> truth, size_t label);

}  // namespace mii::stats
