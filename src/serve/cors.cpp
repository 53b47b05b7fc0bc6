#include "serve/cors.h"

#include <algorithm>

namespace mii::serve {
namespace {

// The value of Access-Control-Allow-Origin, empty when the origin is not allowed.
std::string allowed_origin(const Request& request, const ServeOptions& options) {
  const std::string_view origin = request.header("origin");
  if (origin.empty()) return {};
  for (const std::string& allowed : options.cors_origins)
    if (allowed == "*" || allowed == origin) return allowed;
  return {};
}

}  // namespace

std::optional<Response> cors_preflight(const Request& request, const ServeOptions& options) {
  if (request.method != "OPTIONS" || request.header("access-control-request-method").empty())
    return std::nullopt;
  if (allowed_origin(request, options).empty()) return std::nullopt;
  Response response;
  response.status = 204;
  response.headers = {
      {"Access-Control-Allow-Methods", "GET, POST, DELETE"},
      {"Access-Control-Allow-Headers", "Authorization, Content-Type, X-Request-Id, X-Request-Timeout"},
      {"Access-Control-Max-Age", "600"}};
  return response;
}

Headers cors_headers(const Request& request, const ServeOptions& options) {
  const std::string origin = allowed_origin(request, options);
  if (origin.empty()) return {};
  return {{"Access-Control-Allow-Origin", origin}, {"Vary", "Origin"}};
}

}  // namespace mii::serve
