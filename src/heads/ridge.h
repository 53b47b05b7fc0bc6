#pragma once

#include <span>
#include <vector>

#include "heads/products.h"

namespace mii::heads {

/// Coefficients [1, D + 1], the intercept last, that minimise
///   C / 2 * sum over rows of (value - x * w - b)^2 + 1/2 * ||w||^2
/// which is scikit-learn's Ridge(alpha=1/C): the solution of the normal equations of the centred rows.
Rows64 fit_ridge(const Rows64& features, std::span<const double> values, double c);

/// The sum over the rows of the squared errors.
double squared_errors(const Rows64& features, std::span<const double> values, const Rows64& coefficients);

}  // namespace mii::heads
