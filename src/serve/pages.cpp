#include "serve/pages.h"

#include "core/file.h"
#include "mii/error.h"
#include "serve/openapi.h"
#include "serve/service.h"

namespace mii::serve {
namespace {

constexpr uint64_t kMaxAssetBytes = 16 << 20;

constexpr const char* kPolicy =
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src blob:";

constexpr const char* kSwagger = R"(<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>medimageinsight.cpp</title>
<link rel="icon" href="data:,"><link rel="stylesheet" href="docs/swagger-ui.css"></head>
<body><div id="swagger-ui"></div><script src="docs/swagger-ui-bundle.js"></script>
<script>window.ui = SwaggerUIBundle({url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true});</script>
</body></html>
)";

constexpr const char* kRedoc = R"(<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>medimageinsight.cpp</title><link rel="icon" href="data:,"></head>
<body><redoc spec-url="openapi.json"></redoc><script src="docs/redoc.standalone.js"></script></body></html>
)";

constexpr const char* kMissing = R"(<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>medimageinsight.cpp</title><link rel="icon" href="data:,"></head>
<body><p>This build came without the scripts of this page: <code>scripts/fetch-docs-assets</code> fetches them.
The API is described in <a href="openapi.json">openapi.json</a>.</p></body></html>
)";

Response page(const char* html) {
  Response response;
  response.content_type = "text/html; charset=utf-8";
  response.body = html;
  response.headers = {{"Content-Security-Policy", kPolicy}};
  return response;
}

}  // namespace

Pages::Pages(Service& service, const std::filesystem::path& folder) : service_(service) {
  for (const char* name : {"swagger-ui-bundle.js", "swagger-ui.css", "redoc.standalone.js"}) {
    std::error_code error;
    if (!folder.empty() && std::filesystem::is_regular_file(folder / name, error))
      assets_[name] = read_text_file(folder / name, kMaxAssetBytes);
  }
}

Response Pages::docs() const {
  return page(has("swagger-ui-bundle.js") && has("swagger-ui.css") ? kSwagger : kMissing);
}

Response Pages::redoc() const { return page(has("redoc.standalone.js") ? kRedoc : kMissing); }

Response Pages::asset(std::string_view name) const {
  const auto found = assets_.find(name);
  if (found == assets_.end()) return error(404, "Not Found");
  Response response;
  response.content_type =
      name.ends_with(".css") ? "text/css; charset=utf-8" : "text/javascript; charset=utf-8";
  response.body = found->second;
  response.headers = {{"Cache-Control", "public, max-age=3600"}};
  return response;
}

std::vector<Route> Pages::routes() const {
  return {
      {.method = "GET",
       .path = "/openapi.json",
       .documented = false,
       .handle = [this](Request&) -> Outcome {
         return json_response(
             openapi_document(service_.router().routes(), service_.options(), service_.has_keys()));
       }},
      {.method = "GET",
       .path = "/docs",
       .documented = false,
       .handle = [this](Request&) -> Outcome { return docs(); }},
      {.method = "GET",
       .path = "/redoc",
       .documented = false,
       .handle = [this](Request&) -> Outcome { return redoc(); }},
      {.method = "GET",
       .path = "/docs/{file...}",
       .documented = false,
       .handle = [this](Request& request) -> Outcome { return asset(request.parameter("file")); }},
  };
}

}  // namespace mii::serve
