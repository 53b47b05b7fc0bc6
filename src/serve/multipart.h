#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "serve/http.h"

namespace mii::serve {

/// The boundary that a Content-Type names, empty when it names none that is allowed (RFC 2046: 1 to 70
/// characters).
std::string multipart_boundary(std::string_view content_type);

/// Reads a multipart/form-data body while it comes. Besides the parts it keeps no more than their headers.
class MultipartReader {
 public:
  /// A body without a boundary, or with more parts than max_parts, is malformed.
  MultipartReader(const std::string& boundary, size_t max_parts);

  void take(std::string_view piece);
  /// After the last piece.
  Form finish();

 private:
  /// What comes next. A preamble and what follows the last part are read over.
  enum class State { preamble, boundary_end, headers, data, end, malformed };

  bool read_on();
  bool find_boundary(std::string* before);
  bool read_boundary_end();
  bool read_headers();

  const std::string delimiter_;  // of parts; a preamble may lack its line break
  const size_t max_parts_;
  State state_ = State::preamble;
  std::string waiting_ = "\r\n";
  size_t at_ = 0;  // in waiting_: what is before it has been read
  Form form_;
};

}  // namespace mii::serve
