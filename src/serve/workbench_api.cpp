#include "serve/workbench_api.h"

#include <algorithm>

#include "serve/web_files.h"

namespace mii::serve {
namespace {

// The page runs its own scripts, and talks to this service only.
constexpr const char* kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src "
    "'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

Response answer(const Request& request, std::string_view name) {
  const auto files = web_files();
  const auto file = std::ranges::find(files, name, &WebFile::name);
  if (file == files.end()) return detail_error(404, "Not Found");
  Response response;
  response.content_type = file->content_type;
  response.headers = {{"ETag", std::string(file->etag)},
                      {"Cache-Control", "no-cache"},
                      {"Content-Security-Policy", kPolicy},
                      {"X-Content-Type-Options", "nosniff"},
                      {"Referrer-Policy", "no-referrer"}};
  if (request.header("if-none-match") == file->etag)
    response.status = 304;
  else
    response.body = file->bytes;
  return response;
}

}  // namespace

std::vector<Route> WorkbenchApi::routes() const {
  return {
      {.method = "GET",
       .path = "/",
       .documented = false,
       .handle = [](Request& request) -> Outcome { return answer(request, "index.html"); }},
      {.method = "GET",
       .path = "/web/{file}",
       .documented = false,
       .handle = [](Request& request) -> Outcome { return answer(request, request.parameter("file")); }},
  };
}

}  // namespace mii::serve
