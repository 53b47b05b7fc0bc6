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

/// What a text would cost to parse, before it is: what stops a parser that keeps nothing of it.
enum class JsonVerdict { well_formed, malformed, too_deep, too_many_values };
struct JsonBounds {
  size_t depth = 32;     ///< of nested lists and objects
  size_t values = 1000;  ///< with the keys of objects
};
JsonVerdict check_json(std::string_view text, const JsonBounds& bounds);

/// Why a text is not JSON, with the wording and the offset (in characters) of Python's json module.
struct JsonFault {
  std::string message;  ///< empty: Python would accept the text
  size_t offset = 0;
};
JsonFault find_json_fault(std::string_view text, size_t max_depth);

}  // namespace mii::serve
