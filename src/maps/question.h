#pragma once

#include <string>
#include <vector>

#include "heads/fitted_head.h"
#include "labels/catalogue.h"
#include "mii/matrix.h"

// What is asked about images when scores are explained: which scores, and against what their maps are shown.

namespace mii::maps {

struct Question {
  std::vector<std::string> labels;  ///< K: what each map is of
  Matrix scored;                    ///< [K, D]: the scores' directions
  std::vector<double> intercepts;   ///< [K]: what a head adds to them
  Matrix shown;                     ///< [K, D]: the directions whose maps are shown
  std::string contrast;             ///< what these are the scores' directions less

  /// [2K, D]: scored, then shown.
  Matrix directions() const;
};

/// The labels, and `versus` behind them where it is another one; "" is none.
std::vector<std::string> with_versus(std::vector<std::string> labels, const std::string& versus);

/// The texts that stand for others where one label is asked for alone: the catalogue's modalities. None where
/// several are.
std::vector<std::string> texts_of_others(size_t labels, const labels::Catalogue& catalogue);

/// Maps are shown against the mean of the labels; those of one label alone against the others.
/// vectors: [K, D], of the labels' texts; others: [M, D], of texts_of_others().
Question about_labels(std::vector<std::string> labels, Matrix vectors, const Matrix& others);

/// Maps of a head whose labels exclude each other are shown against their mean, those of other heads as they
/// are. Throws Error{unsupported} for a head whose neighbours vote: its scores are no sum over the image.
Question about_head(const heads::FittedHead& head);

/// "A and not B": the difference of the directions, for every A but B itself. Throws Error{invalid_argument}
/// for a B that is no label or the only one, or an A that is the same to the model.
Question against(const std::string& versus, const Question& all);

}  // namespace mii::maps
