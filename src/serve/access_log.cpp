#include "serve/access_log.h"

#include "core/number_text.h"

namespace mii::serve {
namespace {

// The method when it is a known word: a client cannot make series of its own.
std::string_view known_method(std::string_view method) {
  for (const std::string_view known : {"GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE"})
    if (method == known) return known;
  return "OTHER";
}

}  // namespace

void note_request(Service& service, const Request& request, const Route* route, const Response& response,
                  Seconds seconds) {
  const std::string_view path = route == nullptr ? "other" : route->path;
  const std::string_view method = known_method(request.method);
  service.metrics().request(path, method, response.status, seconds);
  std::vector<std::pair<std::string_view, std::string>> fields{{"request_id", json_text(request.request_id)},
                                                               {"peer", json_text(request.peer)},
                                                               {"method", json_text(method)},
                                                               {"route", json_text(path)},
                                                               {"status", std::to_string(response.status)},
                                                               {"total_ms", milliseconds(seconds)}};
  if (response.timing) {
    fields.emplace_back("queue_ms", milliseconds(response.timing->queue));
    fields.emplace_back("preprocess_ms", milliseconds(response.timing->preprocess));
    fields.emplace_back("inference_ms", milliseconds(response.timing->inference));
  }
  service.log().write(response.status >= 500 ? "error" : "info", "request", fields);
}

}  // namespace mii::serve
