#include "serve/inputs.h"

#include <algorithm>
#include <boost/json.hpp>

#include "mii/error.h"
#include "serve/refuse.h"

namespace mii::serve {

namespace bj = boost::json;

namespace {

// No boolean or number is longer, and errors show less of one that is none.
constexpr size_t kMaxWordBytes = 4096;

using Result = std::variant<Response, FieldValues>;

std::vector<std::string> strings(const bj::array& list) {
  std::vector<std::string> texts;
  texts.reserve(list.size());
  for (const bj::value& element : list) texts.emplace_back(element.get_string());
  return texts;
}

std::vector<EncodedImage> images(const bj::array& list) {
  std::vector<EncodedImage> encoded;
  for (const bj::value& image : list)
    encoded.push_back({.data = std::string(image.get_string()), .base64 = true});
  return encoded;
}

// Of a value that validate() has let through.
void set(const Field& field, bj::value& value, FieldValues& values) {
  switch (field.type) {
    case Field::Type::image_list:
      values.images[field.name] = images(value.get_array());
      return;
    case Field::Type::string_list:
      values.lists[field.name] = strings(value.get_array());
      return;
    case Field::Type::boolean:
      values.booleans[field.name] = lax_boolean(value).value();
      return;
    case Field::Type::integer:
      values.integers[field.name] = lax_integer(value).value();
      return;
    case Field::Type::number:
      values.numbers[field.name] = lax_number(value).value();
      return;
    case Field::Type::text:
      values.texts[field.name] = value.get_string();
      return;
    case Field::Type::any:
      values.others[field.name] = std::move(value);
      return;
  }
}

FieldValues from_json(bj::object& body, std::span<const Field> fields) {
  FieldValues values;
  for (const Field& field : fields) {
    bj::value* value = body.if_contains(field.name);
    if (value != nullptr && !value->is_null()) set(field, *value, values);
  }
  return values;
}

// What a form or a query gives, field by field.
class FormReader {
 public:
  FormReader(std::span<const Field> fields, const Limits& limits)
      : fields_(fields), limits_(limits), given_(fields.size()) {}

  /// Returns false for a text that is no UTF-8.
  bool add(std::string_view name, std::string value, bool is_file) {
    const auto field = std::ranges::find(fields_, name, &Field::name);
    // An empty text of a form is an absent one, as FastAPI has it.
    if (field == fields_.end() || (value.empty() && !is_file)) return true;
    given_[static_cast<size_t>(field - fields_.begin())] = true;
    if (field->type == Field::Type::image_list) {
      values_.images[field->name].push_back({.data = std::move(value), .base64 = !is_file});
      return true;
    }
    if (!is_plain_utf8(value)) return false;
    add_text(*field, std::move(value));
    return true;
  }

  Result finish() {
    for (size_t f = 0; f < fields_.size(); ++f)
      if (fields_[f].required && !given_[f] && !is_given(fields_[f].unless))
        errors_.push_back(validation_error("missing", {"body", fields_[f].name}, "Field required", nullptr));
    if (!errors_.empty()) return unprocessable(std::move(errors_));
    return std::move(values_);
  }

 private:
  void add_text(const Field& field, std::string value) {
    switch (field.type) {
      case Field::Type::string_list:
        values_.lists[field.name].push_back(std::move(value));
        return;
      case Field::Type::text:
        values_.texts[field.name] = std::move(value);
        return;
      case Field::Type::any: {
        auto parsed = parse_bounded(value, limits_);
        if (parsed && !parsed->is_null())
          values_.others[field.name] = std::move(*parsed);
        else if (!parsed)
          refuse("json_invalid", field, "JSON decode error", value);
        return;
      }
      default:
        add_word(field, bj::value(std::string_view(value).substr(0, kMaxWordBytes)));
    }
  }

  // A boolean or a number.
  void add_word(const Field& field, bj::value word) {
    bj::array wrong = validate(bj::object{{field.name, word}}, {&field, 1});
    if (wrong.empty())
      set(field, word, values_);
    else if (errors_.size() < kMaxErrors)
      errors_.push_back(std::move(wrong[0]));
  }

  void refuse(std::string_view type, const Field& field, std::string_view message, const std::string& value) {
    if (errors_.size() < kMaxErrors)
      errors_.push_back(validation_error(type, {"body", field.name}, message, bj::value(value)));
  }

  bool is_given(std::string_view name) const {
    for (size_t f = 0; f < fields_.size(); ++f)
      if (fields_[f].name == name) return given_[f];
    return false;
  }

  std::span<const Field> fields_;
  const Limits& limits_;
  std::vector<bool> given_;
  FieldValues values_;
  bj::array errors_;
};

Response bad_text() { return detail_error(400, "A form field is not UTF-8"); }

Result from_form(Form form, const Limits& limits, std::span<const Field> fields) {
  if (!form.well_formed) return detail_error(400, "There was an error parsing the body");
  FormReader reader(fields, limits);
  for (FormPart& part : form.parts)
    if (!reader.add(part.name, std::move(part.data), part.is_file)) return bad_text();
  return reader.finish();
}

Result from_raw(Request& request, const Limits& limits, std::span<const Field> fields) {
  FormReader form(fields, limits);
  for (auto& [name, value] : decode_query(request.query))
    if (name != "images" && !form.add(name, std::move(value), false)) return bad_text();
  form.add("images", std::move(request.body), true);
  return form.finish();
}

bool is_raw_image(const std::string& media_type) {
  return media_type.starts_with("image/") || media_type == "application/dicom" ||
         media_type == "application/octet-stream";
}

Result read_any(Request& request, const Limits& limits, std::span<const Field> fields) {
  const std::string type = request.media_type();
  if (request.form) return from_form(std::move(*request.form), limits, fields);
  if (!request.body.empty() && is_raw_image(type)) return from_raw(request, limits, fields);
  JsonBody body = read_json(request, limits);
  if (body.refusal) return std::move(*body.refusal);
  bj::array errors = validate(body.value, fields);
  if (!errors.empty()) return unprocessable(std::move(errors));
  return from_json(body.value.get_object(), fields);
}

std::string beyond_limits(const FieldValues& values, const Limits& limits) {
  for (const auto& [name, list] : values.images)
    if (std::string reason = serve::beyond_limits(list, {}, limits); !reason.empty()) return reason;
  for (const auto& [name, list] : values.lists)
    if (std::string reason = serve::beyond_limits({}, list, limits); !reason.empty()) return reason;
  for (const auto& [name, text] : values.texts)
    if (std::string reason = serve::beyond_limits({}, {text}, limits); !reason.empty()) return reason;
  return {};
}

}  // namespace

std::optional<size_t> take_within(FieldValues& values, std::string_view name, int64_t most) {
  const auto found = values.integers.find(name);
  if (found == values.integers.end()) return std::nullopt;
  if (found->second < 1 || found->second > most)
    refuse(std::string(name) + " is " + std::to_string(found->second) + ", expected 1 to " +
           std::to_string(most));
  return static_cast<size_t>(found->second);
}

std::string beyond_limits(const std::vector<EncodedImage>& images, const std::vector<std::string>& texts,
                          const Limits& limits) {
  if (images.size() > limits.images)
    return std::to_string(images.size()) + " images, at most " + std::to_string(limits.images) + " a request";
  if (texts.size() > limits.texts)
    return std::to_string(texts.size()) + " texts, at most " + std::to_string(limits.texts) + " a request";
  for (size_t t = 0; t < texts.size(); ++t)
    if (texts[t].size() > limits.text_bytes)
      return "text " + std::to_string(t) + " has " + std::to_string(texts[t].size()) + " bytes, at most " +
             std::to_string(limits.text_bytes);
  return {};
}

Work image_work(std::vector<std::string> base64, const Limits& limits) {
  Work work;
  for (std::string& image : base64)
    work.images.push_back({.data = std::move(image), .base64 = true, .standardisation = {}});
  if (const std::string reason = beyond_limits(work.images, {}, limits); !reason.empty()) refuse(reason);
  return work;
}

Work text_work(std::vector<std::string> texts, const Limits& limits) {
  Work work;
  work.texts = std::move(texts);
  if (const std::string reason = beyond_limits({}, work.texts, limits); !reason.empty()) refuse(reason);
  return work;
}

std::variant<Response, HeadFolder::Shared> usable_head(const std::string& name, const ApiContext& context) {
  HeadFolder::Shared head = context.fitted ? context.fitted->find(name) : nullptr;
  if (!head) return detail_error(400, "there is no head of this name: GET /heads lists them");
  if (!context.identity) return identity_not_known_yet();
  try {
    head->expect_made_alike(*context.identity);
  } catch (const Error& error) {
    return detail_error(400, error.what());
  }
  return head;
}

Response identity_not_known_yet() {
  Response response = detail_error(503, "the model's files are being read");
  response.headers.emplace_back("Retry-After", "1");
  return response;
}

std::variant<Response, FieldValues> read_fields(Request& request, const Limits& limits,
                                                std::span<const Field> fields) {
  Result result = read_any(request, limits, fields);
  std::string().swap(request.body);
  request.form.reset();
  if (const auto* values = std::get_if<FieldValues>(&result)) {
    std::string reason = beyond_limits(*values, limits);
    if (!reason.empty()) return detail_error(400, reason);
  }
  return result;
}

std::variant<Response, Inputs> read_inputs(Request& request, const ApiContext& context,
                                           std::span<const Field> fields) {
  auto read = read_fields(request, context.limits, fields);
  if (auto* refusal = std::get_if<Response>(&read)) return std::move(*refusal);
  FieldValues& values = std::get<FieldValues>(read);
  Inputs inputs{
      .images = FieldValues::take(values.images, "images"),
      .texts = FieldValues::take(values.lists, values.lists.contains("labels") ? "labels" : "texts"),
      .templates = FieldValues::take(values.lists, "templates"),
      .head = FieldValues::take(values.texts, "head"),
      .multilabel = FieldValues::take(values.booleans, "multilabel")};
  return inputs;
}

}  // namespace mii::serve
