#pragma once

#include <span>
#include <string>

#include "core/tensor.h"
#include "mii/precision.h"

namespace mii {

/// What is to be known of one arithmetic. Whoever asks "is it bf16?" asks this table instead.
struct PrecisionInfo {
  Precision precision;
  const char* name;

  DType weights;       ///< in which Backend::pack() takes them
  bool taken_by_auto;  ///< exact enough that `auto` may take it
  bool maps = true;    ///< exact enough for maps of scores

  /// The largest error with which an operand of a product is rounded: relative to itself, and in int8 to the
  /// largest of its row. Of p significant bits, 2^-p: numbers just above 1 are 2^(1 - p) apart, and the
  /// nearest is half of that away. int8: half of one of the 127 steps of a weight; half of one of the 255
  /// steps between a row's ends, twice the largest apart, is less.
  double operand_rounding;

  // What it promises in comparison with the reference, at the most. The tests hold every backend to it.
  double cosine_distance;
  double difference;   ///< of a value of a unit vector
  double probability;  ///< difference of a class's probability; 1 promises nothing
};

/// All of them, the most exact first.
std::span<const PrecisionInfo> precisions();

/// Of any precision but `automatic`.
const PrecisionInfo& info_of(Precision precision);

/// "auto, f32, f16, bf16, int8 or fp8", for messages.
std::string precision_names();

}  // namespace mii
