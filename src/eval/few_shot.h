#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "eval/result.h"
#include "eval/scorers.h"

namespace mii {

struct FewShotOptions {
  std::vector<size_t> shots;  ///< images of each label; kAllShots: every one of the references
  size_t repeats = 10;        ///< draws of the images
  size_t k = 5;  ///< neighbours that vote, at most as many as there are shots, and then an odd number
  std::function<bool()> cancelled;
};

/// Fits each kind of head to a few images of the references, drawn anew each time, and asks it about the
/// task's images. Nothing, and a note, where a label has no image among the references. No image is kept back
/// to choose a penalty: C is 1, but for all shots, where it is chosen by cross-validation.
std::optional<FewShotResult> few_shot(const EncodedModel& model, const Question& question,
                                      const FewShotOptions& options, std::vector<std::string>& notes);

/// Draw by draw the mean over tasks that were asked with the same options.
FewShotResult mean_of(std::span<const FewShotResult> tasks);

}  // namespace mii
