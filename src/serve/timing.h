#pragma once

#include <chrono>

namespace mii::serve {

using Seconds = std::chrono::duration<double>;

/// Where the time of a request went that needed the model.
struct Timing {
  Seconds preprocess{};  ///< from the start to the last image that was ready
  Seconds queue{};       ///< the longest wait of an item for its batch
  Seconds inference{};  ///< of all batches that had items of this request; of images or texts, whichever took
                        ///< longer
  Seconds total{};      ///< from the end of its body to its answer
};

}  // namespace mii::serve
