#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "train/validation.h"

namespace mii {

/// Of two means of top-1 on the same images, with its 95 % confidence interval.
struct Difference {
  double value = 0;  ///< the second less the first
  double low = 0;
  double high = 0;
};

/// Percentile bootstrap of the paired difference: 2000 draws of whole groups (patients) with replacement, the
/// same for both. groups: of each validation image, in the order of Scores::right.
/// Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
Difference paired_difference(const Scores& first, const Scores& second, std::span<const int32_t> groups);

/// Of the validation images: their patients, and a group of its own for each image without one.
std::vector<int32_t> validation_groups(const Pack& pack);

}  // namespace mii
