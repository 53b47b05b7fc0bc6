#pragma once

#include <span>
#include <utility>
#include <vector>

#include "heads/labelled.h"
#include "heads/products.h"
#include "heads/split.h"

namespace mii::heads {

/// Of each C, from the smallest: the mean loss of rows that the fit did not see.
using LossesByC = std::vector<std::pair<double, double>>;

/// What is tried, from 0.001 to 1000.
std::span<const double> penalties();

/// The log loss; each fold goes from one C to the next, beginning with what it has. Rows of a label that no
/// row of a fold's fit has are left out there. Throws Error{invalid_argument} when no fold can be fitted.
LossesByC cross_validate_logistic(const Rows64& features, const Truth& truth, bool balanced,
                                  std::span<const Split> folds);

/// The squared error.
LossesByC cross_validate_ridge(const Rows64& features, std::span<const double> values,
                               std::span<const Split> folds);

/// The C of the smallest loss.
double best_of(const LossesByC& losses);

}  // namespace mii::heads
