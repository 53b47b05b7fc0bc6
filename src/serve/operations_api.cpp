#include "serve/operations_api.h"

#include "core/json_writer.h"
#include "serve/service.h"

namespace mii::serve {
namespace {

constexpr std::string_view kStatus =
    R"({"type":"object","required":["status"],"properties":{"status":{"type":"string"},"reason":{"type":"string"}}})";

Response status_response(std::string_view status, int code = 200, const std::string& reason = {}) {
  JsonWriter json(JsonWriter::Style::compact);
  json.begin_object().member("status", status);
  if (!reason.empty()) json.member("reason", reason);
  return json_response(json.end_object().finish(), code);
}

}  // namespace

Response OperationsApi::health() const {
  const std::string reason = service_.unhealthy_reason();
  return reason.empty() ? status_response("healthy") : status_response("unhealthy", 503, reason);
}

Response OperationsApi::ready() const {
  if (service_.is_draining()) return status_response("stopping", 503);
  if (!service_.is_loaded()) return status_response("loading", 503);
  return status_response("ready");
}

Response OperationsApi::metrics() const {
  Response response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = service_.metrics().text(service_.gauges());
  return response;
}

std::vector<Route> OperationsApi::routes() const {
  return {
      {.method = "GET",
       .path = "/health",
       .summary = "healthy while the engine answers",
       .for_operators = true,
       .response_schema = kStatus,
       .handle = [this](Request&) -> Outcome { return health(); }},
      {.method = "GET",
       .path = "/livez",
       .summary = "The process runs",
       .for_operators = true,
       .response_schema = kStatus,
       .handle = [](Request&) -> Outcome { return status_response("alive"); }},
      {.method = "GET",
       .path = "/readyz",
       .summary = "The model is loaded and warm",
       .for_operators = true,
       .response_schema = kStatus,
       .handle = [this](Request&) -> Outcome { return ready(); }},
      {.method = "GET",
       .path = "/metrics",
       .summary = "Figures for Prometheus",
       .needs_key = true,
       .for_operators = true,
       .content_type = "text/plain",
       .handle = [this](Request&) -> Outcome { return metrics(); }},
  };
}

}  // namespace mii::serve
