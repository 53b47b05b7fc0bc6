#include "serve/json.h"

#include <boost/json.hpp>
#include <cmath>

#include "core/number_text.h"

namespace mii::serve {

namespace bj = boost::json;

void append_json(std::string& out, const bj::value& value) {
  switch (value.kind()) {
    case bj::kind::null:
      out += "null";
      return;
    case bj::kind::bool_:
      out += value.get_bool() ? "true" : "false";
      return;
    case bj::kind::int64:
      out += std::to_string(value.get_int64());
      return;
    case bj::kind::uint64:
      out += std::to_string(value.get_uint64());
      return;
    case bj::kind::double_:
      // 1e999 reads as infinity, which JSON cannot write.
      out += std::isfinite(value.get_double()) ? number_text(value.get_double()) : "null";
      return;
    case bj::kind::string:
      out += json_text(value.get_string());
      return;
    case bj::kind::array: {
      const char* separator = "[";
      for (const bj::value& element : value.get_array()) {
        out += separator;
        append_json(out, element);
        separator = ",";
      }
      out += value.get_array().empty() ? "[]" : "]";
      return;
    }
    case bj::kind::object: {
      const char* separator = "{";
      for (const auto& [key, element] : value.get_object()) {
        out.append(separator).append(json_text(key)).append(":");
        append_json(out, element);
        separator = ",";
      }
      out += value.get_object().empty() ? "{}" : "}";
      return;
    }
  }
}

std::string to_json(const bj::value& value) {
  std::string out;
  append_json(out, value);
  return out;
}

}  // namespace mii::serve
