#pragma once

#include <cstddef>
#include <span>

#include "heads/labelled.h"
#include "heads/products.h"

namespace mii::heads {

/// Logistic regression with scikit-learn's objective:
///   C * sum over rows of weight * loss + 1/2 * ||W||^2, the intercepts free.
/// The loss is that of the softmax over the labels. Of two labels, and where several may hold, it is that of
/// the sigmoid of each label on its own (one against the rest).
struct LogisticOptions {
  double c = 1;
  /// Rows of a label weigh n / (K * rows of it), so that rare ones count as much: class_weight="balanced".
  bool balanced = false;
  /// How far from the minimum the objective may end: half the square of this, whatever C.
  double tolerance = 1e-7;
  size_t max_steps = 2000;
};

/// Coefficients [K, D + 1], the intercept last. Of two labels of which one holds, those of the first are 0:
/// the second's are the difference.
/// features: as features_of gives them. start: coefficients to begin from; without rows: 0.
/// Solver: L-BFGS (libLBFGS) in coordinates in which the curvature is about 1 in each direction.
/// Throws Error{invalid_argument} when a label has no row, or all of them, or the minimum was not reached.
Rows64 fit_logistic(const Rows64& features, const Truth& truth, const LogisticOptions& options,
                    const Rows64& start = {});

/// The mean loss of each row, without weights or penalty: the sum over the rows of it.
double logistic_loss(const Rows64& features, const Truth& truth, const Rows64& coefficients);

/// The gradient of the unpenalised sum of losses, softmax or sigmoid as `truth` says; returns that sum.
double logistic_gradient(const Rows64& features, const Truth& truth, const Rows64& coefficients,
                         Rows64& gradient);

}  // namespace mii::heads
