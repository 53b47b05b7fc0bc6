#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "backend/backend.h"

namespace mii {

/// The weights of resize_bicubic() for backends that resize, of the sizes that came last. Safe to use from
/// several threads.
class ResizeAxes {
 public:
  /// Null where there is nothing to resize. in, out: from 1 to some thousand.
  std::shared_ptr<const ResizeAxis> find(size_t in, size_t out);

 private:
  static constexpr size_t kMost = 64;

  std::mutex mutex_;
  std::map<std::pair<size_t, size_t>, std::shared_ptr<const ResizeAxis>> axes_;  // guarded by mutex_
};

}  // namespace mii
