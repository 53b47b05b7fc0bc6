#pragma once

#include <stdexcept>
#include <string>

#include "mii/export.h"

namespace mii {

/// What kind of thing went wrong. The program turns it into an exit status, a service into an HTTP status.
enum class ErrorCode {
  invalid_argument,  ///< the request makes no sense: no labels, a duplicated label, an unknown option
  invalid_image,     ///< bytes that are not an image, or a damaged image
  image_too_large,   ///< an image beyond the limits that the caller set
  invalid_text,      ///< a text that is not valid UTF-8, or longer than allowed
  invalid_model,     ///< a model folder that lacks a file, a config that is wrong or not supported
  corrupt_weights,   ///< weights that are damaged, mis-shaped, missing or not finite
  unsupported,       ///< a valid request that this build or machine cannot serve
  io,                ///< a file that cannot be read or written, a full disk
  network,           ///< a download that failed, a database that cannot be reached
  cancelled,         ///< the caller asked to stop
  out_of_memory,     ///< a device has no memory left for what was asked
  device_lost,       ///< a device no longer works; a new process may find that it does
  internal,          ///< a defect of this library
};

/// The code's name as written above, for logs and machine-readable output.
MII_API const char* to_string(ErrorCode code);

/// The one error type that this library throws.
/// what() is one sentence: what, where, expected, found. It may name the user's files, never what is in them.
class MII_API Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}

  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

}  // namespace mii
