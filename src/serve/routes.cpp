#include "serve/routes.h"

#include <vector>

#include "serve/openai_api.h"
#include "serve/reference_api.h"
#include "serve/score_api.h"
#include "serve/service.h"

namespace mii::serve {
namespace {

constexpr std::string_view kStatus =
    R"({"type":"object","required":["status"],"properties":{"status":{"type":"string"},"reason":{"type":"string"}}})";

constexpr std::string_view kPredictions =
    R"({"type":"object","required":["predictions"],"properties":{"predictions":{"type":"array","items":
    {"type":"object","additionalProperties":{"type":"number"}}}}})";

constexpr std::string_view kEmbeddings =
    R"({"type":"object","required":["image_embeddings","text_embeddings"],"properties":{
    "image_embeddings":{"type":["array","null"],"items":{"type":"array","items":{"type":"number"}}},
    "text_embeddings":{"type":["array","null"],"items":{"type":"array","items":{"type":"number"}}}}})";

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
    "object":{"const":"model"},"created":{"type":"integer"},"owned_by":{"type":"string"}}}}}})";

constexpr std::string_view kScores =
    R"({"type":"array","items":{"type":"object","properties":{
    "image_features":{"type":"array","items":{"type":"array","items":{"type":"number"}}},
    "text_features":{"type":"array","items":{"type":"number"}},"scaling_factor":{"type":"number"}}}})";

std::vector<Route> make_routes() {
  return {
      {.method = "POST",
       .path = "/predict",
       .summary = "Score pictures against labels",
       .computes = true,
       .needs_key = true,
       .fields = predict_fields(),
       .takes_files = true,
       .response_schema = kPredictions,
       .handle = [](Request& r, Service& s) { return predict(r, s.context()); }},
      {.method = "POST",
       .path = "/encode",
       .summary = "Vectors of pictures and texts",
       .computes = true,
       .needs_key = true,
       .fields = encode_fields(),
       .takes_files = true,
       .response_schema = kEmbeddings,
       .handle = [](Request& r, Service& s) { return encode(r, s.context()); }},
      {.method = "POST",
       .path = "/v1/embeddings",
       .summary = "Vectors, as OpenAI's clients ask for them",
       .computes = true,
       .needs_key = true,
       .errors = ErrorStyle::openai,
       .fields = embeddings_fields(),
       .response_schema = kOpenaiEmbeddings,
       .handle = [](Request& r, Service& s) { return embeddings(r, s.context()); }},
      {.method = "GET",
       .path = "/v1/models",
       .summary = "The model's name",
       .computes = true,
       .needs_key = true,
       .errors = ErrorStyle::openai,
       .response_schema = kOpenaiModels,
       .handle = [](Request&, Service& s) -> Outcome { return models(s.context()); }},
      {.method = "POST",
       .path = "/score",
       .summary = "Vectors of a table of pictures and texts",
       .computes = true,
       .needs_key = true,
       .fields = score_fields(),
       .response_schema = kScores,
       .handle = [](Request& r, Service& s) { return score(r, s.context()); }},
      {.method = "GET",
       .path = "/health",
       .summary = "healthy while the engine answers",
       .for_operators = true,
       .response_schema = kStatus,
       .handle = [](Request&, Service& s) -> Outcome { return s.health(); }},
      {.method = "GET",
       .path = "/livez",
       .summary = "The process runs",
       .for_operators = true,
       .response_schema = kStatus,
       .handle = [](Request&, Service& s) -> Outcome { return s.live(); }},
      {.method = "GET",
       .path = "/readyz",
       .summary = "The model is loaded and warm",
       .for_operators = true,
       .response_schema = kStatus,
       .handle = [](Request&, Service& s) -> Outcome { return s.ready(); }},
      {.method = "GET",
       .path = "/metrics",
       .summary = "Figures for Prometheus",
       .needs_key = true,
       .for_operators = true,
       .content_type = "text/plain",
       .handle = [](Request&, Service& s) -> Outcome { return s.metrics_text(); }},
      {.method = "GET",
       .path = "/openapi.json",
       .documented = false,
       .handle = [](Request&, Service& s) -> Outcome { return s.openapi(); }},
      {.method = "GET",
       .path = "/docs",
       .documented = false,
       .handle = [](Request&, Service& s) -> Outcome { return s.pages().docs(); }},
      {.method = "GET",
       .path = "/redoc",
       .documented = false,
       .handle = [](Request&, Service& s) -> Outcome { return s.pages().redoc(); }},
      {.method = "GET",
       .path = "/docs/swagger-ui-bundle.js",
       .documented = false,
       .handle = [](Request&, Service& s) -> Outcome { return s.pages().asset("swagger-ui-bundle.js"); }},
      {.method = "GET",
       .path = "/docs/swagger-ui.css",
       .documented = false,
       .handle = [](Request&, Service& s) -> Outcome { return s.pages().asset("swagger-ui.css"); }},
      {.method = "GET",
       .path = "/docs/redoc.standalone.js",
       .documented = false,
       .handle = [](Request&, Service& s) -> Outcome { return s.pages().asset("redoc.standalone.js"); }},
  };
}

}  // namespace

std::span<const Route> routes() {
  static const std::vector<Route> table = make_routes();
  return table;
}

}  // namespace mii::serve
