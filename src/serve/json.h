#pragma once

#include <boost/json/fwd.hpp>
#include <cstddef>
#include <string>
#include <string_view>

namespace mii::serve {

/// Appends a value as Python's json.dumps(..., ensure_ascii=False, separators=(",", ":")) writes it, but for
/// the controls beyond ASCII, which are escaped.
void append_json(std::string& out, const boost::json::value& value);
std::string to_json(const boost::json::value& value);

/// Why a text is no JSON, in the words and with the offset (in characters) of Python's json module.
struct JsonFault {
  std::string message;  ///< empty: Python would accept the text
  size_t offset = 0;
};
JsonFault find_json_fault(std::string_view text, size_t max_depth);

}  // namespace mii::serve
