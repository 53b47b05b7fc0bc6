#include "serve/service.h"

#include "core/number_text.h"
#include "serve/openapi.h"

namespace mii::serve {
namespace {

std::string status_body(std::string_view status, const std::string& reason = {}) {
  std::string body = "{\"status\":\"" + std::string(status) + "\"";
  if (!reason.empty()) body += ",\"reason\":" + json_text(reason);
  return body + "}";
}

Response not_allowed(const Route& route) {
  Response response = error_response(route.errors, 405, "Method Not Allowed");
  response.headers.emplace_back("Allow", route.method);
  return response;
}

// Another address that differs by a slash at the end only, as Starlette redirects.
Response redirect(const Request& request, std::string_view path) {
  Response response;
  response.status = 307;
  response.headers.emplace_back("Location",
                                std::string(path) + (request.query.empty() ? "" : "?" + request.query));
  return response;
}

const Route* at(std::string_view path) {
  for (const Route& route : routes())
    if (route.path == path) return &route;
  return nullptr;
}

}  // namespace

Service::Service(ServeOptions options, Log::Sink log_sink)
    : options_(std::move(options)),
      log_(std::move(log_sink)),
      pages_(options_.docs_folder),
      keys_(std::make_shared<Keys>(options_.keys_file.empty() ? Keys() : Keys::read(options_.keys_file))),
      workers_(options_.batching.decode_threads) {}

void Service::start(std::unique_ptr<const Model> model) {
  model_ = std::move(model);
  const ModelInfo& info = model_->info();
  const std::vector<uint8_t> pixels(info.image_width * info.image_height * 3, 128);
  const Image image = Image::from_rgb(info.image_width, info.image_height, pixels);
  const std::string text = "warm";
  model_->encode_images({&image, 1});
  model_->encode_texts({&text, 1});
  encoder_ = std::make_unique<Encoder>(*model_, options_, workers_, metrics_);
  watchdog_ = std::make_unique<Watchdog>(*encoder_, options_);
  ready_ = true;
}

void Service::stop() {
  ready_ = false;
  watchdog_.reset();
  workers_.stop();
  encoder_.reset();
}

bool Service::has_keys() const {
  const std::lock_guard lock(keys_mutex_);
  return !keys_->empty();
}

void Service::reload_keys() {
  if (options_.keys_file.empty()) return;
  auto keys = std::make_shared<const Keys>(Keys::read(options_.keys_file));
  const std::lock_guard lock(keys_mutex_);
  keys_ = std::move(keys);
}

bool Service::authorized(const Request& request) const {
  std::shared_ptr<const Keys> keys;
  {
    const std::lock_guard lock(keys_mutex_);
    keys = keys_;
  }
  return keys->accept(request.header("authorization"));
}

std::variant<const Route*, Response> Service::admit(const Request& request) const {
  const Route* route = at(request.path);
  if (route == nullptr) {
    if (request.path.size() > 1 && request.path.ends_with('/'))
      if (const std::string_view bare = std::string_view(request.path).substr(0, request.path.size() - 1);
          at(bare))
        return redirect(request, bare);
    const bool openai = request.path.starts_with("/v1/");
    return error_response(openai ? ErrorStyle::openai : ErrorStyle::detail, 404, "Not Found");
  }
  const bool head = request.method == "HEAD" && route->method == "GET";
  if (request.method != route->method && !head) return not_allowed(*route);
  if (route->needs_key && !authorized(request)) {
    Response response = error_response(route->errors, 401, "Not authenticated");
    response.headers.emplace_back("WWW-Authenticate", "Bearer");
    return response;
  }
  if (route->computes && !ready_) {
    Response response = error_response(route->errors, 503, "the model is being loaded");
    response.headers.emplace_back("Retry-After", "1");
    return response;
  }
  return route;
}

std::string Service::unhealthy_reason() const {
  return ready_ ? watchdog_->reason() : "the model is being loaded";
}

Response Service::health() const {
  const std::string reason = unhealthy_reason();
  if (reason.empty()) return json_response(status_body("healthy"));
  return json_response(status_body("unhealthy", reason), 503);
}

Response Service::live() const { return json_response(status_body("alive")); }

Response Service::ready() const {
  if (draining_) return json_response(status_body("stopping"), 503);
  if (!ready_) return json_response(status_body("loading"), 503);
  return json_response(status_body("ready"));
}

Response Service::metrics_text() {
  Gauges gauges;
  gauges.connections = connections_;
  gauges.log_lines_dropped = log_.dropped();
  gauges.ready = is_ready();
  gauges.healthy = unhealthy_reason().empty();
  if (ready_) {
    gauges.admitted_images = encoder_->admitted_images();
    gauges.admitted_texts = encoder_->admitted_texts();
    gauges.queued_images = encoder_->queued_images();
    gauges.queued_texts = encoder_->queued_texts();
    const TextCacheCounts counts = model_->text_cache_counts();
    gauges.cache_hits = counts.hits;
    gauges.cache_misses = counts.misses;
  }
  Response response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = metrics_.text(gauges);
  return response;
}

Response Service::openapi() const { return json_response(openapi_document(routes(), options_, has_keys())); }

}  // namespace mii::serve
