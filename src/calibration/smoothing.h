#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backend/backend.h"
#include "weights/checkpoint.h"

namespace mii {

/// SmoothQuant (arXiv 2211.10438): a channel that is large in all rows makes the steps of int8 too wide for
/// the others. Where a norm comes before a layer, a factor on each channel can move from what the norm gives
/// into the weights that read it: s = sqrt(largest of the channel / largest of the weights that read it), the
/// paper's with a = 0.5, here to the nearest power of two, so that f32 and bf16 compute what they did to the
/// last bit.
class Smoothing {
 public:
  /// Backend and checkpoint are borrowed.
  Smoothing(const Checkpoint& checkpoint, Backend& backend) : checkpoint_(checkpoint), backend_(backend) {}

  /// Sees the activations of the image tower, as its observer: those that enter a block's norms count.
  void see(std::string_view module, ConstRows x);

  /// Of what was seen. Throws Error{invalid_argument} when the checkpoint's weights are integers.
  ColumnFactors factors() const;

 private:
  const Checkpoint& checkpoint_;
  Backend& backend_;
  std::map<std::string, std::vector<float>> largest_;  // of each channel [C], by the layer that reads it
};

}  // namespace mii
