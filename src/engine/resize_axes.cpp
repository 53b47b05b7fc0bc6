#include "engine/resize_axes.h"

#include <algorithm>

#include "image/resample.h"

namespace mii {
namespace {

static_assert(ResizeAxis::kWeightBits == AxisWeights::kWeightBits);

std::shared_ptr<const ResizeAxis> make_axis(size_t in, size_t out) {
  const AxisWeights weights(in, out, 0, out);
  auto axis = std::make_shared<ResizeAxis>();
  axis->in = static_cast<int64_t>(in);
  axis->out = static_cast<int64_t>(out);
  axis->taps = static_cast<int64_t>(weights.taps());
  for (size_t o = 0; o < out; ++o) {
    axis->first.push_back(static_cast<int32_t>(weights.first(o)));
    axis->weights.insert(axis->weights.end(), weights.weights(o), weights.weights(o) + weights.taps());
  }
  return axis;
}

}  // namespace

std::shared_ptr<const ResizeAxis> ResizeAxes::find(size_t in, size_t out) {
  if (in == out) return nullptr;
  const std::lock_guard lock(mutex_);
  if (const auto found = axes_.find({in, out}); found != axes_.end()) return found->second;
  if (axes_.size() >= kMost) axes_.clear();
  return axes_[{in, out}] = make_axis(in, out);
}

}  // namespace mii
