#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "mii/matrix.h"

namespace mii::heads {

/// What is true of each row.
struct Truth {
  /// One of the labels holds (softmax), or any number of them, each on its own (sigmoid).
  bool several = false;
  std::vector<std::string> labels;  ///< K
  std::vector<uint8_t> is;          ///< [n, K], 1 where the label holds

  size_t rows() const { return labels.empty() ? 0 : is.size() / labels.size(); }
  bool holds(size_t row, size_t label) const { return is[row * labels.size() + label] != 0; }
  /// The first label that holds; K where none does.
  size_t label_of(size_t row) const;
  /// How many rows have a label.
  size_t count(size_t label) const;
  Truth some_rows(std::span<const size_t> rows) const;
  Truth some_labels(std::span<const size_t> labels) const;
};

/// How much a row counts of which a label holds, or does not.
struct LabelWeights {
  std::vector<double> yes, no;  ///< [K]
};
/// Rare labels count as much as frequent ones, as class_weight="balanced" of scikit-learn: n / (K * rows with
/// the label); for a label against the rest, n / (2 * rows with it) and n / (2 * rows without).
LabelWeights balanced_weights(const Truth& truth, bool against_the_rest);

/// Vectors with what is known about them.
struct LabelledVectors {
  Matrix vectors;                   ///< [n, D]
  std::vector<std::string> groups;  ///< of each row: the patient; rows of one are never separated
  Truth truth;                      ///< of a field of labels
  std::vector<double> values;       ///< of a field of numbers: n of them; else none

  LabelledVectors some_rows(std::span<const size_t> rows) const;
};

/// Reads the cells of a field. An empty cell is not known: its row is not in the answer.
struct ReadCells {
  std::vector<size_t> rows;  ///< of cells: those that are known
  Truth truth;               ///< labels in the order of their bytes
  std::vector<double> values;
};
/// A cell is a label.
ReadCells read_labels(std::span<const std::string> cells);
/// A cell holds several labels, separated by ';' or '|'.
ReadCells read_label_lists(std::span<const std::string> cells);
/// A cell is a number. Throws Error{invalid_argument} for one that is none.
ReadCells read_numbers(std::span<const std::string> cells);

}  // namespace mii::heads
