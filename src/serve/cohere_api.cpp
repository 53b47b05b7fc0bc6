#include "serve/cohere_api.h"

#include <algorithm>
#include <boost/json.hpp>

#include "core/json_writer.h"
#include "serve/refuse.h"
#include "serve/service.h"
#include "serve/vector_forms.h"

namespace mii::serve {

namespace bj = boost::json;

namespace {

const Field kFields[] = {
    {.name = "model",
     .required = true,
     .description = "As /v1/models names it",
     .schema = R"({"type":"string"})"},
    {.name = "texts",
     .type = Field::Type::string_list,
     .nullable = true,
     .description = "Either these or images",
     .example = R"(["X-Ray","Ultrasound"])"},
    {.name = "images",
     .description = "Data URIs in base64: images, DICOM or NIfTI",
     .schema = R"({"type":["array","null"],"minItems":1,
       "items":{"type":"string","pattern":"^data:[^,]*;base64,"}})"},
    {.name = "embedding_types",
     .description =
         "base64: little-endian float32; binary, ubinary: eight signs a number; int8, uint8: scaled integers",
     .default_json = R"(["float"])",
     .schema = R"({"type":["array","null"],"minItems":1,
       "items":{"enum":["float","base64","int8","uint8","binary","ubinary"]}})"},
    {.name = "output_dimension",
     .description = "Keep so many of the first values, and divide them by their norm",
     .schema = R"({"type":["integer","null"],"minimum":1})"},
    {.name = "truncate",
     .description = "What happens to a text longer than the model's context",
     .default_json = "\"END\"",
     .schema = R"({"enum":["END",null]})"},
    {.name = "input_type", .description = "Not used", .schema = R"({"type":["string","null"]})"}};

Response error_response(int status, const std::string& message) {
  JsonWriter json(JsonWriter::Style::compact);
  return json_response(json.begin_object().member("message", message).end_object().finish(), status);
}

void expect_data_uris(const std::vector<std::string>& images) {
  for (size_t i = 0; i < images.size(); ++i) {
    const std::string_view uri = std::string_view(images[i]).substr(0, 1024);
    const std::string_view type = uri.substr(0, uri.find(','));
    const std::string place = "'images[" + std::to_string(i) + "]'";
    if (!type.starts_with("data:") || !type.ends_with(";base64") || type.size() == uri.size())
      refuse(place + " must be a data URI: data:image/png;base64,...");
    if (type.starts_with("data:text/") || type.starts_with("data:;"))
      refuse(place + " is a text by its type");
  }
}

Work read_work(const bj::object& body, const Limits& limits) {
  const bj::value *texts = given(body, "texts"), *images = given(body, "images");
  if ((texts == nullptr) == (images == nullptr))
    refuse("either 'texts' or 'images' must be given, and not both");
  if (texts != nullptr) return text_work(read_texts(*texts, "texts"), limits);
  std::vector<std::string> uris = read_texts(*images, "images");
  expect_data_uris(uris);
  return image_work(std::move(uris), limits);
}

// Each once.
std::vector<VectorForm> read_forms(const bj::object& body) {
  const bj::value* types = given(body, "embedding_types");
  if (types == nullptr) return {VectorForm::floats};
  const std::vector<std::string> names = read_texts(*types, "embedding_types");
  std::vector<VectorForm> forms;
  for (size_t i = 0; i < names.size(); ++i) {
    const VectorForm form = vector_form(names[i], "embedding_types[" + std::to_string(i) + "]");
    if (std::ranges::find(forms, form) == forms.end()) forms.push_back(form);
  }
  return forms;
}

void check_unused(const bj::object& body) {
  given_text(body, "input_type");
  if (const bj::string* truncate = given_text(body, "truncate"); truncate != nullptr && *truncate != "END")
    refuse("'truncate' must be 'END' or absent: what is beyond the model's context is cut off");
  for (const char* name : {"inputs", "max_tokens"})
    if (given(body, name) != nullptr) refuse("'" + std::string(name) + "' is not taken here");
}

// What the answer says besides the vectors.
struct Frame {
  std::string id;
  std::vector<std::string> texts;  // empty: images were asked for
  size_t tokens = 0;
};

// The answer: at a step one text, or one vector in one form.
class EmbedWriter {
 public:
  EmbedWriter(Matrix rows, std::vector<VectorForm> forms, std::shared_ptr<const Frame> frame)
      : rows_(std::make_shared<const Matrix>(std::move(rows))),
        forms_(std::move(forms)),
        frame_(std::move(frame)) {}

  bool operator()(JsonWriter& json) {
    const size_t texts = frame_->texts.size(), step = step_++;
    if (step == 0) begin(json);
    if (step < texts) {
      json.value(frame_->texts[step]);
      return true;
    }
    if (step == texts) begin_embeddings(json);
    write_row(json, (step - texts) / rows_->rows(), (step - texts) % rows_->rows());
    if (step - texts + 1 < forms_.size() * rows_->rows()) return true;
    end(json);
    return false;
  }

 private:
  void begin(JsonWriter& json) const {
    json.begin_object().member("id", frame_->id);
    if (!frame_->texts.empty()) json.key("texts").begin_array();
  }

  void begin_embeddings(JsonWriter& json) const {
    if (!frame_->texts.empty()) json.end_array();
    json.key("embeddings").begin_object();
  }

  void write_row(JsonWriter& json, size_t form, size_t row) const {
    if (row == 0) json.key(name_of(forms_[form])).begin_array();
    write_vector(json, rows_->row(row), forms_[form]);
    if (row + 1 == rows_->rows()) json.end_array();
  }

  void end(JsonWriter& json) const {
    json.end_object().key("meta").begin_object();
    json.key("api_version").begin_object().member("version", "2").end_object();
    json.key("billed_units").begin_object();
    frame_->texts.empty() ? json.member("images", rows_->rows())
                          : json.member("input_tokens", frame_->tokens);
    json.end_object().end_object().member("response_type", "embeddings_by_type").end_object();
  }

  std::shared_ptr<const Matrix> rows_;
  std::vector<VectorForm> forms_;
  std::shared_ptr<const Frame> frame_;
  size_t step_ = 0;
};

constexpr std::string_view kAnswer =
    R"({"type":"object","required":["id","embeddings","meta","response_type"],"properties":{"id":{"type":"string"},
    "texts":{"type":"array","items":{"type":"string"}},"embeddings":{"type":"object","properties":{
    "float":{"type":"array","items":{"type":"array","items":{"type":"number"}}},
    "base64":{"type":"array","items":{"type":"string"}}},
    "additionalProperties":{"type":"array","items":{"type":"array","items":{"type":"integer"}}}},
    "meta":{"type":"object"},"response_type":{"const":"embeddings_by_type"}}})";

}  // namespace

Outcome embed(Request& request, const ApiContext& context) {
  const bj::object body = read_object(request, context.limits);
  const bj::string* model = given_text(body, "model");
  if (model == nullptr) refuse("'model' is missing");
  Work work = read_work(body, context.limits);
  std::vector<VectorForm> forms = read_forms(body);
  const size_t dimensions = read_dimensions(body, "output_dimension", context.model.info().embedding_dim);
  check_unused(body);
  if (*model != context.model_name)
    return error_response(404, "model not found; this service has '" + context.model_name + "'");

  const auto frame = std::make_shared<Frame>(Frame{.id = request.request_id, .texts = work.texts});
  for (const std::string& text : work.texts) frame->tokens += context.model.count_tokens(text);
  work.answer = [dimensions, forms = std::move(forms), frame](Matrix images, Matrix texts) {
    Matrix rows = shortened(std::move(frame->texts.empty() ? images : texts), dimensions);
    return json_response(EmbedWriter(std::move(rows), forms, frame));
  };
  return work;
}

std::vector<Route> CohereApi::routes() const {
  return {{.method = "POST",
           .path = "/providers/microsoft/v2/embed",
           .summary = "Vectors of texts or images, in the shape of Cohere's v2 embed",
           .computes = true,
           .needs_key = true,
           .fields = kFields,
           .response_schema = kAnswer,
           .handle = [this](Request& request) { return embed(request, service_.context()); }}};
}

Response CohereApi::error(int status, const std::string& message) const {
  return error_response(status, message);
}

}  // namespace mii::serve
