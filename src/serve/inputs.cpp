#include "serve/inputs.h"

#include <boost/json.hpp>

namespace mii::serve {

namespace bj = boost::json;

namespace {

// No word for a boolean is longer, and errors show less of one that is none.
constexpr size_t kMaxBooleanBytes = 4096;

using Result = std::variant<Response, Inputs>;

std::vector<std::string> strings(const bj::array& list) {
  std::vector<std::string> texts;
  texts.reserve(list.size());
  for (const bj::value& element : list) texts.emplace_back(element.get_string());
  return texts;
}

std::vector<std::string>& texts_of(Inputs& inputs, const Field& field) {
  return field.name == "templates" ? inputs.templates : inputs.texts;
}

Inputs from_json(const bj::object& body, std::span<const Field> fields) {
  Inputs inputs;
  for (const Field& field : fields) {
    const bj::value* value = body.if_contains(field.name);
    if (value == nullptr || value->is_null()) continue;
    if (field.type == Field::Type::boolean) {
      inputs.multilabel = lax_boolean(*value).value();
    } else if (field.type == Field::Type::text) {
      inputs.head = value->get_string();
    } else if (field.name == "images") {
      for (const bj::value& image : value->get_array())
        inputs.images.push_back({.data = std::string(image.get_string()), .base64 = true});
    } else {
      texts_of(inputs, field) = strings(value->get_array());
    }
  }
  return inputs;
}

// What a form or a query gives, field by field.
class FormReader {
 public:
  explicit FormReader(std::span<const Field> fields) : fields_(fields), given_(fields.size()) {}

  /// Returns false for a text that is no UTF-8.
  bool add(std::string_view name, std::string value, bool is_file) {
    for (size_t f = 0; f < fields_.size(); ++f) {
      // An empty text of a form is an absent one, as FastAPI has it.
      if (fields_[f].name != name || (value.empty() && !is_file)) continue;
      given_[f] = true;
      if (name == "images") {
        inputs_.images.push_back({.data = std::move(value), .base64 = !is_file});
      } else if (!is_plain_utf8(value)) {
        return false;
      } else if (fields_[f].type == Field::Type::boolean) {
        const bj::value text(std::string_view(value).substr(0, kMaxBooleanBytes));
        if (const auto boolean = lax_boolean(text))
          inputs_.multilabel = *boolean;
        else if (errors_.size() < kMaxErrors)
          errors_.push_back(validation_error("bool_parsing", {"body", name},
                                             "Input should be a valid boolean, unable to interpret input",
                                             text));
      } else if (fields_[f].type == Field::Type::text) {
        inputs_.head = std::move(value);
      } else {
        texts_of(inputs_, fields_[f]).push_back(std::move(value));
      }
      return true;
    }
    return true;
  }

  Result finish() {
    for (size_t f = 0; f < fields_.size(); ++f)
      if (fields_[f].required && !given_[f] && !is_given(fields_[f].unless))
        errors_.push_back(validation_error("missing", {"body", fields_[f].name}, "Field required", nullptr));
    if (!errors_.empty()) return unprocessable(std::move(errors_));
    return std::move(inputs_);
  }

 private:
  bool is_given(std::string_view name) const {
    for (size_t f = 0; f < fields_.size(); ++f)
      if (fields_[f].name == name) return given_[f];
    return false;
  }

  std::span<const Field> fields_;
  std::vector<bool> given_;
  Inputs inputs_;
  bj::array errors_;
};

Response bad_text() { return detail_error(400, "A form field is not UTF-8"); }

Result from_form(Form form, std::span<const Field> fields) {
  if (!form.well_formed) return detail_error(400, "There was an error parsing the body");
  FormReader reader(fields);
  for (FormPart& part : form.parts)
    if (!reader.add(part.name, std::move(part.data), part.is_file)) return bad_text();
  return reader.finish();
}

Result from_raw(Request& request, std::span<const Field> fields) {
  FormReader form(fields);
  for (auto& [name, value] : decode_query(request.query))
    if (name != "images" && !form.add(name, std::move(value), false)) return bad_text();
  form.add("images", std::move(request.body), true);
  return form.finish();
}

bool is_raw_image(const std::string& media_type) {
  return media_type.starts_with("image/") || media_type == "application/dicom" ||
         media_type == "application/octet-stream";
}

Result read_any(Request& request, const ApiContext& context, std::span<const Field> fields) {
  const std::string type = request.media_type();
  if (request.form) return from_form(std::move(*request.form), fields);
  if (!request.body.empty() && is_raw_image(type)) return from_raw(request, fields);
  const JsonBody body = read_json(request, context.limits);
  if (body.refusal) return *body.refusal;
  bj::array errors = validate(body.value, fields);
  if (!errors.empty()) return unprocessable(std::move(errors));
  return from_json(body.value.get_object(), fields);
}

}  // namespace

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

std::variant<Response, Inputs> read_inputs(Request& request, const ApiContext& context,
                                           std::span<const Field> fields) {
  Result result = read_any(request, context, fields);
  std::string().swap(request.body);
  request.form.reset();
  if (const auto* inputs = std::get_if<Inputs>(&result)) {
    std::string reason = beyond_limits(inputs->images, inputs->texts, context.limits);
    if (reason.empty()) reason = beyond_limits({}, inputs->templates, context.limits);
    if (reason.empty()) reason = beyond_limits({}, {inputs->head}, context.limits);
    if (!reason.empty()) return detail_error(400, reason);
  }
  return result;
}

}  // namespace mii::serve
