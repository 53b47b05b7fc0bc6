#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mii::serve {

/// One field of a multipart/form-data body. `data` lies in the body.
struct FormPart {
  std::string name;
  bool is_file = false;  ///< it came with a file name (which is not kept)
  std::string_view data;
};

/// The boundary that a Content-Type names, empty when it names none that is allowed (RFC 2046: 1 to 70
/// characters).
std::string multipart_boundary(std::string_view content_type);

/// The parts of a body, nothing when it is malformed or has more than max_parts.
std::optional<std::vector<FormPart>> parse_multipart(std::string_view body, std::string_view boundary,
                                                     size_t max_parts);

}  // namespace mii::serve
