#include "serve/service.h"

#include <algorithm>
#include <cmath>

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

// Of a path that may be no route.
ErrorStyle style_of(std::string_view path) {
  return path.starts_with("/v1/") ? ErrorStyle::openai : ErrorStyle::detail;
}

const Route* at(std::string_view path) {
  for (const Route& route : routes())
    if (route.path == path) return &route;
  return nullptr;
}

}  // namespace

Service::Service(ServeOptions options, Log::Sink log_sink, Log::Reopen reopen_log)
    : options_(std::move(options)),
      log_(std::move(log_sink), std::move(reopen_log)),
      pages_(options_.docs_folder),
      hosts_(options_),
      rate_({.per_second = options_.limits.client_rate, .burst = options_.limits.client_burst}),
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
  watchdog_ = std::make_unique<Watchdog>(*encoder_, workers_, options_, log_);
  ready_ = true;
}

void Service::stop() {
  ready_ = false;
  watchdog_.reset();
  workers_.stop();
  encoder_.reset();
}

bool Service::is_busy() const {
  if (workers_.busy_for() > Seconds::zero()) return true;
  return ready_ && encoder_->computing_for() > Seconds::zero();
}

bool Service::has_keys() const { return !keys()->empty(); }

void Service::reload_keys() {
  if (options_.keys_file.empty()) return;
  auto keys = std::make_shared<const Keys>(Keys::read(options_.keys_file));
  const std::lock_guard lock(keys_mutex_);
  keys_ = std::move(keys);
}

std::shared_ptr<const Keys> Service::keys() const {
  const std::lock_guard lock(keys_mutex_);
  return keys_;
}

std::optional<Response> Service::beyond_rate(const Request& request, ErrorStyle style) {
  if (!rate_.is_limited()) return std::nullopt;
  const std::string key = keys()->owner(request.header("authorization"));
  const std::string client = key.empty() ? client_of_address(request.peer) : "key " + key;
  const Seconds wait = rate_.take(client, std::chrono::steady_clock::now());
  if (wait <= Seconds::zero()) return std::nullopt;
  metrics_.request_refused("rate");
  Response response = error_response(style, 429, "too many requests of this client");
  const double whole = std::clamp(std::ceil(wait.count()), 1.0, 86400.0);
  response.headers.emplace_back("Retry-After", std::to_string(static_cast<int>(whole)));
  return response;
}

// What is refused whatever it asks for.
std::optional<Response> Service::refusal(const Request& request, const Route* route) {
  const ErrorStyle style = route != nullptr ? route->errors : style_of(request.path);
  if (!hosts_.allow(request.header("host"))) {
    metrics_.request_refused("host");
    return error_response(style, 421, "this service does not answer to that Host: see --allowed-host");
  }
  if (request.method == "POST" && is_from_foreign_origin(request, options_)) {
    metrics_.request_refused("origin");
    return error_response(style, 403, "pages of another origin may not call: see --cors-origin");
  }
  if (route != nullptr && route->for_operators) return std::nullopt;
  return beyond_rate(request, style);
}

std::variant<const Route*, Response> Service::admit(const Request& request) {
  const Route* route = at(request.path);
  if (auto refused = refusal(request, route)) return std::move(*refused);
  if (route == nullptr) {
    if (request.path.size() > 1 && request.path.ends_with('/'))
      if (const std::string_view bare = std::string_view(request.path).substr(0, request.path.size() - 1);
          at(bare))
        return redirect(request, bare);
    return error_response(style_of(request.path), 404, "Not Found");
  }
  const bool head = request.method == "HEAD" && route->method == "GET";
  if (request.method != route->method && !head) return not_allowed(*route);
  if (route->needs_key && !keys()->accept(request.header("authorization"))) {
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
