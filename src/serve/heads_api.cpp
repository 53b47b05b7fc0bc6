#include "serve/heads_api.h"

#include "core/json_writer.h"
#include "heads/head_file.h"
#include "serve/service.h"

namespace mii::serve {
namespace {

constexpr std::string_view kHeads =
    R"({"type":"object","required":["heads"],"properties":{"heads":{"type":"array","items":{"type":"object",
    "required":["name","kind","field","labels"],"properties":{"name":{"type":"string"},"kind":{"type":"string"},
    "field":{"type":"string"},"labels":{"type":"array","items":{"type":"string"}}}}}}})";
constexpr std::string_view kHead =
    R"({"type":"object","required":["kind","field","labels","identity","record"],"properties":{
    "kind":{"type":"string"},"field":{"type":"string"},"labels":{"type":"array","items":{"type":"string"}},
    "identity":{"type":"object"},"record":{"type":"object"}}})";

}  // namespace

Response HeadsApi::list() const {
  JsonWriter json(JsonWriter::Style::compact);
  json.begin_object().key("heads").begin_array();
  for (const auto& [name, head] : service_.fitted_heads()->all()) {
    const heads::HeadParts& parts = head->parts();
    json.begin_object().member("name", name).member("kind", heads::to_string(parts.kind));
    json.member("field", parts.field).member("labels", parts.labels).end_object();
  }
  return json_response(json.end_array().end_object().finish());
}

Response HeadsApi::describe(const Request& request) const {
  const HeadFolder::Shared head = service_.fitted_heads()->find(request.parameters.front().second);
  if (!head) return detail_error(404, "Not Found");
  return json_response(heads::head_json(head->parts()));
}

std::vector<Route> HeadsApi::routes() const {
  return {
      {.method = "GET",
       .path = "/heads",
       .summary = "The heads that /predict answers by",
       .needs_key = true,
       .response_schema = kHeads,
       .handle = [this](Request&) -> Outcome { return list(); }},
      {.method = "GET",
       .path = "/heads/{name}",
       .summary = "What a head was fitted on, its operating points and calibration",
       .needs_key = true,
       .response_schema = kHead,
       .handle = [this](Request& request) -> Outcome { return describe(request); }},
  };
}

}  // namespace mii::serve
