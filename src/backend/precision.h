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

  /// The largest relative error with which an operand of a product is rounded.
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

/// "auto, f32 or bf16", for messages.
std::string precision_names();

}  // namespace mii
