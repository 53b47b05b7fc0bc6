#include "serve/validation.h"

#include <boost/json.hpp>
#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>

#include "serve/json.h"
#include "serve/refuse.h"

namespace mii::serve {

namespace bj = boost::json;

namespace {

constexpr size_t kShownValues = 100;
constexpr size_t kShownBytes = 1024;
constexpr std::string_view kEllipsis = "\xe2\x80\xa6";

// The beginning of a value, for an error to show.
class Excerpt {
 public:
  bj::value of(const bj::value& value) {
    if (values_ > 0) --values_;
    if (const bj::string* string = value.if_string()) return bj::value(text(*string));
    if (const bj::array* array = value.if_array()) return list(*array);
    if (const bj::object* object = value.if_object()) return members(*object);
    return value;
  }

 private:
  bool full() const { return values_ == 0 || bytes_ == 0; }

  bj::string text(std::string_view all) {
    size_t size = std::min(all.size(), bytes_);
    bytes_ -= size;
    if (size == all.size()) return bj::string(all);
    while (size > 0 && (static_cast<unsigned char>(all[size]) & 0xc0) == 0x80) --size;
    bj::string cut(all.substr(0, size));
    cut += kEllipsis;
    return cut;
  }

  bj::value list(const bj::array& all) {
    bj::array shown;
    for (const bj::value& element : all) {
      if (full()) {
        shown.emplace_back(kEllipsis);
        break;
      }
      shown.push_back(of(element));
    }
    return shown;
  }

  bj::value members(const bj::object& all) {
    bj::object shown;
    for (const auto& [key, element] : all) {
      if (full()) {
        shown.emplace(kEllipsis, kEllipsis);
        break;
      }
      const bj::string name = text(key);
      shown.emplace(name, of(element));
    }
    return shown;
  }

  size_t values_ = kShownValues;
  size_t bytes_ = kShownBytes;
};

// A few values for each image and text, some for fields that nobody reads.
JsonBounds bounds_of(const Limits& limits) {
  return {.depth = limits.json_depth, .values = 1024 + 16 * (limits.images + limits.texts)};
}

// Of a text that check_json let through.
bj::value parse_checked(std::string_view text, const Limits& limits) {
  bj::parse_options options;
  options.max_depth = limits.json_depth;
  return bj::parse(text, {}, options);
}

// FastAPI takes a body without a Content-Type for JSON, and any application/json or application/*+json.
bool says_json(const Request& request) {
  const std::string type = request.media_type();
  if (request.header("content-type").empty() || type == "application/json") return true;
  return type.starts_with("application/") && type.ends_with("+json");
}

std::string in_quotes(std::string_view name) { return std::string("'").append(name).append("'"); }

JsonBody refused(Response response) { return {nullptr, std::move(response)}; }

JsonBody refuse_json(const JsonFault& fault) {
  bj::object error =
      validation_error("json_invalid", {"body", fault.offset}, "JSON decode error", bj::object{});
  error["ctx"] = {{"error", fault.message}};
  return refused(unprocessable({std::move(error)}));
}

void check_string_list(const Field& field, const bj::value& value, bj::array& errors) {
  if (!value.is_array()) {
    errors.push_back(
        validation_error("list_type", {"body", field.name}, "Input should be a valid list", value));
    return;
  }
  size_t index = 0;
  for (const bj::value& element : value.get_array()) {
    if (errors.size() == kMaxErrors) return;
    if (!element.is_string())
      errors.push_back(validation_error("string_type", {"body", field.name, index},
                                        "Input should be a valid string", element));
    ++index;
  }
}

void check_text(const Field& field, const bj::value& value, bj::array& errors) {
  if (!value.is_string())
    errors.push_back(
        validation_error("string_type", {"body", field.name}, "Input should be a valid string", value));
}

// A number or text that is not a boolean gets "unable to interpret"; values of other types do not.
bool has_boolean_kind(const bj::value& value) {
  if (value.is_string() || value.is_int64()) return true;
  return value.is_double() && std::abs(value.get_double()) < 9.2e18 &&
         std::trunc(value.get_double()) == value.get_double();
}

void check_boolean(const Field& field, const bj::value& value, bj::array& errors) {
  if (lax_boolean(value)) return;
  const bool interpretable = has_boolean_kind(value);
  errors.push_back(validation_error(interpretable ? "bool_parsing" : "bool_type", {"body", field.name},
                                    interpretable
                                        ? "Input should be a valid boolean, unable to interpret input"
                                        : "Input should be a valid boolean",
                                    value));
}

// A number from the whole of a text.
template <typename Number>
std::optional<Number> number_in(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

void check_number(const Field& field, const bj::value& value, bj::array& errors) {
  const bool whole = field.type == Field::Type::integer;
  if (whole ? lax_integer(value).has_value() : lax_number(value).has_value()) return;
  errors.push_back(
      validation_error(whole ? "int_type" : "float_type", {"body", field.name},
                       whole ? "Input should be a valid integer" : "Input should be a valid number", value));
}

}  // namespace

bj::object validation_error(std::string_view type, bj::array loc, std::string_view message,
                            const bj::value& input) {
  return {{"type", type}, {"loc", std::move(loc)}, {"msg", message}, {"input", Excerpt().of(input)}};
}

Response unprocessable(bj::array errors) {
  return json_response(to_json(bj::object{{"detail", std::move(errors)}}), 422);
}

const bj::value* given(const bj::object& body, std::string_view name) {
  const bj::value* value = body.if_contains(name);
  return value == nullptr || value->is_null() ? nullptr : value;
}

bj::object read_object(Request& request, const Limits& limits) {
  JsonBody body = read_json(request, limits);
  if (body.refusal) refuse("the body is not JSON, or has more levels or values than the limits allow");
  if (!body.value.is_object()) refuse("the body must be a JSON object");
  return std::move(body.value.get_object());
}

const bj::string* given_text(const bj::object& body, std::string_view name) {
  const bj::value* value = given(body, name);
  if (value == nullptr) return nullptr;
  if (!value->is_string()) refuse(in_quotes(name) + " must be a string");
  return &value->get_string();
}

std::vector<std::string> read_texts(const bj::value& list, std::string_view name) {
  if (!list.is_array() || list.get_array().empty())
    refuse(in_quotes(name) + " must be a list that is not empty");
  std::vector<std::string> texts;
  for (const bj::value& element : list.get_array()) {
    if (!element.is_string())
      refuse(in_quotes(std::string(name) + "[" + std::to_string(texts.size()) + "]") + " must be a string");
    texts.emplace_back(element.get_string());
  }
  return texts;
}

std::optional<bool> lax_boolean(const bj::value& value) {
  if (value.is_bool()) return value.get_bool();
  if (value.is_number()) {
    const double number = value.to_number<double>();
    if (number == 0 || number == 1) return number == 1;
    return std::nullopt;
  }
  if (!value.is_string()) return std::nullopt;
  std::string word(value.get_string());
  std::ranges::transform(word, word.begin(), [](unsigned char c) { return std::tolower(c); });
  constexpr std::array kTrue{"1", "on", "t", "true", "y", "yes"};
  constexpr std::array kFalse{"0", "off", "f", "false", "n", "no"};
  if (std::ranges::find(kTrue, word) != kTrue.end()) return true;
  if (std::ranges::find(kFalse, word) != kFalse.end()) return false;
  return std::nullopt;
}

std::optional<int64_t> lax_integer(const bj::value& value) {
  if (value.is_int64()) return value.get_int64();
  return value.is_string() ? number_in<int64_t>(value.get_string()) : std::nullopt;
}

std::optional<double> lax_number(const bj::value& value) {
  std::optional<double> number;
  if (value.is_number())
    number = value.to_number<double>();
  else if (value.is_string())
    number = number_in<double>(value.get_string());
  return number && std::isfinite(*number) ? number : std::nullopt;
}

std::optional<bj::value> parse_bounded(std::string_view text, const Limits& limits) {
  if (check_json(text, bounds_of(limits)) != JsonVerdict::well_formed) return std::nullopt;
  return parse_checked(text, limits);
}

JsonBody read_json(Request& request, const Limits& limits) {
  const std::string body = std::move(request.body);
  request.body.clear();
  std::string_view text = body;
  if (text.empty())
    return refused(unprocessable({validation_error("missing", {"body"}, "Field required", nullptr)}));
  if (!says_json(request)) {
    if (!is_plain_utf8(text))
      return refused(
          detail_error(415, "Content-Type: expected application/json, multipart/form-data or an image"));
    return {bj::string(text), std::nullopt};
  }
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);

  const JsonBounds bounds = bounds_of(limits);
  switch (check_json(text, bounds)) {
    case JsonVerdict::well_formed:
      return {parse_checked(text, limits), std::nullopt};
    case JsonVerdict::too_deep:
      return refused(detail_error(
          400, "The body's JSON is nested deeper than " + std::to_string(bounds.depth) + " levels"));
    case JsonVerdict::too_many_values:
      return refused(detail_error(
          400, "The body's JSON has more than " + std::to_string(bounds.values) + " values and keys"));
    case JsonVerdict::malformed:
      break;
  }
  if (!is_plain_utf8(text)) return refused(detail_error(400, "There was an error parsing the body"));
  JsonFault fault = find_json_fault(text, bounds.depth);
  // Python takes NaN, Infinity and halves of surrogate pairs for JSON; here they are errors.
  if (fault.message.empty()) fault = {"Expecting value", 0};
  return refuse_json(fault);
}

bj::array validate(const bj::value& body, std::span<const Field> fields) {
  bj::array errors;
  if (body.is_null()) {
    errors.push_back(validation_error("missing", {"body"}, "Field required", nullptr));
    return errors;
  }
  if (!body.is_object()) {
    errors.push_back(validation_error("model_attributes_type", {"body"},
                                      "Input should be a valid dictionary or object to extract fields from",
                                      body));
    return errors;
  }
  for (const Field& field : fields) {
    const bj::value* value = body.get_object().if_contains(field.name);
    if (value == nullptr) {
      if (field.required && given(body.get_object(), field.unless) == nullptr)
        errors.push_back(validation_error("missing", {"body", field.name}, "Field required", body));
    } else if (value->is_null() && field.nullable) {
      continue;
    } else if (field.type == Field::Type::string_list || field.type == Field::Type::image_list) {
      check_string_list(field, *value, errors);
    } else if (field.type == Field::Type::boolean) {
      check_boolean(field, *value, errors);
    } else if (field.type == Field::Type::text) {
      check_text(field, *value, errors);
    } else if (field.type == Field::Type::integer || field.type == Field::Type::number) {
      check_number(field, *value, errors);
    }
  }
  return errors;
}

}  // namespace mii::serve
