#include "core/reason.h"

#include <new>

namespace mii {

std::string reason_of(const std::exception& failure) {
  const bool memory = dynamic_cast<const std::bad_alloc*>(&failure) != nullptr;
  return memory ? "not enough memory for this image" : failure.what();
}

}  // namespace mii
