#include "serve/openai_api.h"

#include <boost/json.hpp>

#include "core/json_writer.h"
#include "serve/refuse.h"
#include "serve/service.h"
#include "serve/vector_forms.h"

namespace mii::serve {

namespace bj = boost::json;

namespace {

const Field kFields[] = {
    {.name = "input",
     .required = true,
     .description = "A text or a list of texts; with modality image, images as data URIs or base64",
     .schema = R"({"anyOf":[{"type":"string"},{"type":"array","items":{"type":"string"},"minItems":1}]})",
     .example = R"(["X-Ray","Ultrasound"])"},
    {.name = "model",
     .required = true,
     .description = "As /v1/models names it",
     .schema = R"({"type":"string"})"},
    {.name = "encoding_format",
     .description =
         "base64: little-endian float32; binary, ubinary: eight signs a number; int8, uint8: scaled integers",
     .default_json = "\"float\"",
     .schema = R"({"enum":["float","base64","int8","uint8","binary","ubinary",null]})"},
    {.name = "modality", .default_json = "\"text\"", .schema = R"({"enum":["text","image",null]})"},
    {.name = "dimensions",
     .description = "Keep so many of the first values, and divide them by their norm",
     .schema = R"({"type":["integer","null"],"minimum":1})"},
    {.name = "user", .description = "Not used", .schema = R"({"type":["string","null"]})"}};

std::string error_type(int status) {
  if (status == 401) return "authentication_error";
  if (status == 429) return "rate_limit_exceeded";
  return status < 500 ? "invalid_request_error" : "server_error";
}

Response error_response(int status, const std::string& message, const std::string& code = "") {
  JsonWriter json(JsonWriter::Style::compact);
  json.begin_object().key("error").begin_object();
  json.member("message", message).member("type", error_type(status)).member("param", nullptr).key("code");
  code.empty() ? json.value(nullptr) : json.value(code);
  return json_response(json.end_object().end_object().finish(), status);
}

std::vector<std::string> read_input(const bj::object& body) {
  const bj::value* input = given(body, "input");
  if (input == nullptr) refuse("'input' is missing");
  if (input->is_string()) return {std::string(input->get_string())};
  if (!input->is_array()) refuse("'input' must be a string or a list of strings");
  const bj::array& list = input->get_array();
  if (!list.empty() && (list[0].is_int64() || list[0].is_array()))
    refuse("'input' must hold strings only; lists of token ids are not supported");
  return read_texts(*input, "input");
}

VectorForm read_form(const bj::object& body) {
  const bj::string* name = given_text(body, "encoding_format");
  return name == nullptr ? VectorForm::floats : vector_form(*name, "encoding_format");
}

bool wants_images(const bj::object& body) {
  const bj::string* modality = given_text(body, "modality");
  if (modality == nullptr || *modality == "text") return false;
  if (*modality != "image") refuse("'modality' must be 'text' or 'image'");
  return true;
}

// The answer of /v1/embeddings, a row at a step.
class EmbeddingListWriter {
 public:
  EmbeddingListWriter(Matrix rows, VectorForm form, size_t tokens, std::string model_name)
      : rows_(std::make_shared<const Matrix>(std::move(rows))),
        form_(form),
        tokens_(tokens),
        model_name_(std::move(model_name)) {}

  bool operator()(JsonWriter& json) {
    if (row_ == 0) json.begin_object().member("object", "list").key("data").begin_array();
    json.begin_object().member("object", "embedding").member("index", row_).key("embedding");
    write_vector(json, rows_->row(row_), form_);
    json.end_object();
    if (++row_ < rows_->rows()) return true;
    json.end_array().member("model", model_name_).key("usage").begin_object();
    json.member("prompt_tokens", tokens_).member("total_tokens", tokens_).end_object().end_object();
    return false;
  }

 private:
  std::shared_ptr<const Matrix> rows_;
  VectorForm form_;
  size_t tokens_;
  std::string model_name_;
  size_t row_ = 0;
};

constexpr std::string_view kOpenaiEmbeddings =
    R"({"type":"object","required":["object","data","model","usage"],"properties":{"object":{"const":"list"},
    "data":{"type":"array","items":{"type":"object","required":["object","index","embedding"],"properties":{
    "object":{"const":"embedding"},"index":{"type":"integer"},
    "embedding":{"anyOf":[{"type":"array","items":{"type":"number"}},{"type":"string"}]}}}},
    "model":{"type":"string"},"usage":{"type":"object","required":["prompt_tokens","total_tokens"],"properties":{
    "prompt_tokens":{"type":"integer"},"total_tokens":{"type":"integer"}}}}})";

constexpr std::string_view kOpenaiModels =
    R"({"type":"object","required":["object","data"],"properties":{"object":{"const":"list"},"data":{"type":"array",
    "items":{"type":"object","required":["id","object","created","owned_by"],"properties":{"id":{"type":"string"},
    "object":{"const":"model"},"created":{"type":"integer"},"owned_by":{"type":"string"},
    "identity":{"type":"object","additionalProperties":{"type":"string"}}}}}}})";

}  // namespace

Outcome embeddings(Request& request, const ApiContext& context) {
  const bj::object body = read_object(request, context.limits);
  const bj::string* model = given_text(body, "model");
  if (model == nullptr) refuse("'model' is missing");
  std::vector<std::string> input = read_input(body);
  const VectorForm form = read_form(body);
  const size_t dimensions = read_dimensions(body, "dimensions", context.model.info().embedding_dim);
  const bool images = wants_images(body);
  given_text(body, "user");
  if (*model != context.model_name)
    return error_response(404, "The model does not exist here; this service has '" + context.model_name + "'",
                          "model_not_found");

  Work work =
      images ? image_work(std::move(input), context.limits) : text_work(std::move(input), context.limits);
  size_t tokens = 0;
  for (const std::string& text : work.texts) tokens += context.model.count_tokens(text);
  work.answer = [form, dimensions, images, tokens, name = context.model_name](Matrix image_vectors,
                                                                              Matrix text_vectors) {
    Matrix rows = shortened(std::move(images ? image_vectors : text_vectors), dimensions);
    return json_response(EmbeddingListWriter(std::move(rows), form, tokens, name));
  };
  return work;
}

Response models(const std::string& model_name, const std::optional<Identity>& identity) {
  JsonWriter json(JsonWriter::Style::compact);
  json.begin_object().member("object", "list").key("data").begin_array().begin_object();
  json.member("id", model_name).member("object", "model").member("created", 0);
  json.member("owned_by", "medimageinsight.cpp");
  if (identity) json.member("identity", RawJson{identity->json()});
  return json_response(json.end_object().end_array().end_object().finish());
}

std::vector<Route> OpenaiApi::routes() const {
  return {
      {.method = "POST",
       .path = "/v1/embeddings",
       .summary = "Vectors, as OpenAI's clients ask for them",
       .computes = true,
       .needs_key = true,
       .fields = kFields,
       .response_schema = kOpenaiEmbeddings,
       .handle = [this](Request& r) { return embeddings(r, service_.context()); }},
      {.method = "GET",
       .path = "/v1/models",
       .summary = "The model's name and identity",
       .computes = true,
       .needs_key = true,
       .response_schema = kOpenaiModels,
       .handle = [this](Request&) -> Outcome {
         return models(service_.options().model_name, service_.identity(decode_options(service_.options())));
       }},
  };
}

Response OpenaiApi::error(int status, const std::string& message) const {
  return error_response(status, message);
}

}  // namespace mii::serve
