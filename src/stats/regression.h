#pragma once

#include <span>

#include "stats/estimate.h"

namespace mii::stats {

/// How far predictions of a number are from the truth, in its unit. Differences are prediction - truth.
struct RegressionErrors {
  double mae = 0;   ///< mean of |difference|
  double rmse = 0;  ///< root of the mean squared difference
  double r2 = 0;  ///< 1 - squared differences / squares of the truth about its mean; NaN for a constant truth
  double bias = 0;  ///< mean difference
  double limit_low =
      0;  ///< bias - 1.96 standard deviations of the differences (n - 1): the limits of agreement,
  double limit_high = 0;  ///< between which 95 % of differences lie where they are normal; NaN for one case
};

/// predictions [n], truth [n]. All NaN for no cases. Throws Error{invalid_argument} for values that are not
/// finite or sizes that differ. Sources: Bland and Altman, Lancet 1986, 307; scikit-learn's r2_score.
RegressionErrors regression_errors(std::span<const float> predictions, std::span<const float> truth,
                                   Multiplicities times = {});

}  // namespace mii::stats
