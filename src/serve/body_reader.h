#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "serve/multipart.h"
#include "serve/options.h"

namespace mii::serve {

/// Takes a request's body while it comes, and keeps of it what the request will have: its bytes, or the
/// fields of a form.
class BodyReader {
 public:
  /// request: its head. takes_files: of its route.
  BodyReader(const Request& request, bool takes_files, const Limits& limits);

  void take(std::string_view piece);
  size_t bytes() const { return bytes_; }  ///< taken so far

  /// Gives the body to the request.
  void finish(Request& request);

 private:
  size_t bytes_ = 0;
  std::string body_;
  std::optional<MultipartReader> form_;
};

}  // namespace mii::serve
