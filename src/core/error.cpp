#include "mii/error.h"

namespace mii {

const char* to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument:
      return "invalid_argument";
    case ErrorCode::invalid_image:
      return "invalid_image";
    case ErrorCode::image_too_large:
      return "image_too_large";
    case ErrorCode::invalid_text:
      return "invalid_text";
    case ErrorCode::invalid_model:
      return "invalid_model";
    case ErrorCode::corrupt_weights:
      return "corrupt_weights";
    case ErrorCode::unsupported:
      return "unsupported";
    case ErrorCode::io:
      return "io";
    case ErrorCode::network:
      return "network";
    case ErrorCode::cancelled:
      return "cancelled";
    case ErrorCode::out_of_memory:
      return "out_of_memory";
    case ErrorCode::device_lost:
      return "device_lost";
    case ErrorCode::internal:
      return "internal";
  }
  return "unknown";
}

}  // namespace mii
