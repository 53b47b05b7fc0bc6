#include "serve/openai_api.h"

#include <boost/json.hpp>

#include "core/base64.h"
#include "core/json_writer.h"
#include "serve/service.h"

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
     .description = "base64: little-endian float32",
     .default_json = "\"float\"",
     .schema = R"({"enum":["float","base64",null]})"},
    {.name = "modality", .default_json = "\"text\"", .schema = R"({"enum":["text","image",null]})"},
    {.name = "dimensions",
     .description = "The model's own number, or absent",
     .schema = R"({"type":["integer","null"],"minimum":1})"},
    {.name = "user", .description = "Not used", .schema = R"({"type":["string","null"]})"}};

std::string error_type(int status) {
  if (status == 401) return "authentication_error";
  if (status == 429) return "rate_limit_exceeded";
  return status < 500 ? "invalid_request_error" : "server_error";
}

Response refuse(const std::string& message, const std::string& code = "", int status = 400) {
  JsonWriter json(JsonWriter::Style::compact);
  json.begin_object().key("error").begin_object();
  json.member("message", message).member("type", error_type(status)).member("param", nullptr).key("code");
  code.empty() ? json.value(nullptr) : json.value(code);
  return json_response(json.end_object().end_object().finish(), status);
}

struct Options {
  std::vector<std::string> input;
  bool base64 = false;
  bool images = false;
};

// Empty when all is well.
std::string read_input(const bj::value& value, std::vector<std::string>& input) {
  if (value.is_string()) {
    input.emplace_back(value.get_string());
    return "";
  }
  if (!value.is_array()) return "'input' must be a string or a list of strings";
  for (const bj::value& element : value.get_array()) {
    if (!element.is_string()) return "'input' must hold strings only; lists of token ids are not supported";
    input.emplace_back(element.get_string());
  }
  return input.empty() ? "'input' must not be empty" : "";
}

// One of two words, the first by default. Empty when all is well.
std::string read_choice(const bj::object& body, std::string_view name, std::string_view first,
                        std::string_view second, bool& is_second) {
  const bj::value* value = body.if_contains(name);
  if (value == nullptr || value->is_null()) return "";
  if (value->is_string() && (value->get_string() == first || value->get_string() == second)) {
    is_second = value->get_string() == second;
    return "";
  }
  std::string reason(name);
  reason.append(" must be '").append(first).append("' or '").append(second).append("'");
  return reason;
}

std::optional<Response> read_options(const bj::value& value, const ApiContext& context, Options& options) {
  const bj::object* body = value.if_object();
  if (body == nullptr) return refuse("the body must be a JSON object");
  const bj::value* model = body->if_contains("model");
  if (model == nullptr || !model->is_string()) return refuse("'model' must be a string");
  const bj::value* input = body->if_contains("input");
  if (input == nullptr) return refuse("'input' is missing");
  for (const std::string& reason : {read_input(*input, options.input),
                                    read_choice(*body, "encoding_format", "float", "base64", options.base64),
                                    read_choice(*body, "modality", "text", "image", options.images)})
    if (!reason.empty()) return refuse(reason);
  const size_t dim = context.model.info().embedding_dim;
  if (const bj::value* wanted = body->if_contains("dimensions"); wanted != nullptr && !wanted->is_null())
    if (!wanted->is_int64() || wanted->get_int64() != static_cast<int64_t>(dim))
      return refuse("'dimensions' must be " + std::to_string(dim) +
                    " or absent: this model cannot be shortened");
  if (const bj::value* user = body->if_contains("user");
      user != nullptr && !user->is_null() && !user->is_string())
    return refuse("'user' must be a string");
  if (model->get_string() != context.model_name)
    return refuse("The model does not exist here; this service has '" + context.model_name + "'",
                  "model_not_found", 404);
  return std::nullopt;
}

// The answer of /v1/embeddings, a row at a step.
class EmbeddingListWriter {
 public:
  EmbeddingListWriter(Matrix rows, bool base64, size_t tokens, std::string model_name)
      : rows_(std::make_shared<const Matrix>(std::move(rows))),
        base64_(base64),
        tokens_(tokens),
        model_name_(std::move(model_name)) {}

  bool operator()(JsonWriter& json) {
    if (row_ == 0) json.begin_object().member("object", "list").key("data").begin_array();
    const std::span<const float> row = rows_->row(row_);
    json.begin_object().member("object", "embedding").member("index", row_).key("embedding");
    base64_ ? json.value(encode_base64(std::as_bytes(row))) : json.value(row);
    json.end_object();
    if (++row_ < rows_->rows()) return true;
    json.end_array().member("model", model_name_).key("usage").begin_object();
    json.member("prompt_tokens", tokens_).member("total_tokens", tokens_).end_object().end_object();
    return false;
  }

 private:
  std::shared_ptr<const Matrix> rows_;
  bool base64_;
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
  const JsonBody body = read_json(request, context.limits);
  if (body.refusal) return refuse("the body is not JSON, or has more levels or values than the limits allow");
  Options options;
  if (auto refusal = read_options(body.value, context, options)) return std::move(*refusal);

  Work work;
  size_t tokens = 0;
  if (options.images) {
    for (std::string& image : options.input)
      work.images.push_back({.data = std::move(image), .base64 = true});
  } else {
    work.texts = std::move(options.input);
  }
  const std::string reason = beyond_limits(work.images, work.texts, context.limits);
  if (!reason.empty()) return refuse(reason);
  for (const std::string& text : work.texts) tokens += context.model.count_tokens(text);
  work.answer = [base64 = options.base64, images = options.images, tokens, name = context.model_name](
                    Matrix image_vectors, Matrix text_vectors) {
    return json_response(
        EmbeddingListWriter(std::move(images ? image_vectors : text_vectors), base64, tokens, name));
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
  return refuse(message, "", status);
}

}  // namespace mii::serve
