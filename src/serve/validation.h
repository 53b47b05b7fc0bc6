#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "serve/http.h"
#include "serve/options.h"

namespace mii::serve {

/// One field of a JSON body. The same description checks requests and writes the OpenAPI document.
struct Field {
  enum class Type {
    image_list,  ///< texts in base64; in a form, files
    string_list,
    boolean,
    integer,
    number,
    text,
    any,  ///< described by `schema`, checked by the route itself
  };
  std::string_view name;
  Type type = Type::any;
  bool required = false;
  bool nullable = false;    ///< null counts as absent
  std::string_view unless;  ///< a field that it need not be there with, required or not
  std::string_view description;
  std::string_view default_json;  ///< empty: none
  std::string_view schema;        ///< JSON schema of a field of type any
  std::string_view example;       ///< JSON; empty: none
};

/// A body that was read, or the answer that refuses it.
struct JsonBody {
  boost::json::value value;
  std::optional<Response> refusal;
};

/// Reads the body as FastAPI does, and gives it up: 422 with json_invalid for a body that is not JSON, 400
/// for one that is not UTF-8, nested too deep, or of more values than the images and texts that a request may
/// have could need.
JsonBody read_json(Request& request, const Limits& limits);

/// An answer lists no more errors than these.
constexpr size_t kMaxErrors = 100;

/// The errors that pydantic would list for a body that should be an object with these fields, the first
/// kMaxErrors; empty: none.
boost::json::array validate(const boost::json::value& body, std::span<const Field> fields);

/// One entry of FastAPI's list of errors. Of the input it shows the first 100 values and 1024 bytes of text;
/// an ellipsis stands where more was.
boost::json::object validation_error(std::string_view type, boost::json::array loc, std::string_view message,
                                     const boost::json::value& input);

/// 422 with {"detail": errors}.
Response unprocessable(boost::json::array errors);

/// A member that is there and not null, else null.
const boost::json::value* given(const boost::json::object& body, std::string_view name);

/// What routes that word their errors themselves read their bodies with. All throw Error{invalid_argument}.
/// Reads the body, which must be an object, and gives it up, as read_json does.
boost::json::object read_object(Request& request, const Limits& limits);
/// The text that a member is; null when it is not given.
const boost::json::string* given_text(const boost::json::object& body, std::string_view name);
/// The texts of a list, which must have one.
std::vector<std::string> read_texts(const boost::json::value& list, std::string_view name);

/// A boolean as pydantic reads it from JSON or a form: true, 1, "yes", "on", ...; empty when it does not.
std::optional<bool> lax_boolean(const boost::json::value& value);
/// The same of numbers: 7, or "7" of a form.
std::optional<int64_t> lax_integer(const boost::json::value& value);
std::optional<double> lax_number(const boost::json::value& value);

/// Reads JSON from a text within the bounds of a body. Null: it is not JSON, or is beyond them.
std::optional<boost::json::value> parse_bounded(std::string_view text, const Limits& limits);

}  // namespace mii::serve
