#include "serve/service.h"

#include <algorithm>
#include <cmath>

#include "core/number_text.h"
#include "pipeline/identity.h"
#include "serve/cohere_api.h"
#include "serve/collection_items_api.h"
#include "serve/collection_map_api.h"
#include "serve/collection_search_api.h"
#include "serve/collections_api.h"
#include "serve/draft_api.h"
#include "serve/explain_api.h"
#include "serve/heads_api.h"
#include "serve/labels_api.h"
#include "serve/openai_api.h"
#include "serve/operations_api.h"
#include "serve/pages.h"
#include "serve/reference_api.h"
#include "serve/render_api.h"
#include "serve/report_api.h"
#include "serve/score_api.h"
#include "serve/workbench_api.h"

namespace mii::serve {
namespace {

// The same path without a final slash, as Starlette redirects.
Response redirect(std::string_view path, const std::string& query) {
  Response response;
  response.status = 307;
  response.headers.emplace_back("Location", std::string(path) + (query.empty() ? "" : "?" + query));
  return response;
}

std::vector<std::unique_ptr<const Api>> make_apis(Service& service) {
  std::vector<std::unique_ptr<const Api>> apis;
  apis.push_back(std::make_unique<ReferenceApi>(service));
  apis.push_back(std::make_unique<OpenaiApi>(service));
  apis.push_back(std::make_unique<CohereApi>(service));
  apis.push_back(std::make_unique<ScoreApi>(service));
  apis.push_back(std::make_unique<ExplainApi>(service));
  apis.push_back(std::make_unique<RenderApi>(service));
  apis.push_back(std::make_unique<HeadsApi>(service));
  apis.push_back(std::make_unique<LabelsApi>(service));
  apis.push_back(std::make_unique<CollectionsApi>(service));
  apis.push_back(std::make_unique<CollectionItemsApi>(service));
  apis.push_back(std::make_unique<CollectionMapApi>(service));
  apis.push_back(std::make_unique<CollectionSearchApi>(service));
  apis.push_back(std::make_unique<DraftApi>(service));
  apis.push_back(std::make_unique<ReportApi>(service));
  apis.push_back(std::make_unique<OperationsApi>(service));
  apis.push_back(std::make_unique<WorkbenchApi>());
  apis.push_back(std::make_unique<Pages>(service, service.options().docs_folder));
  return apis;
}

ServedCollections open_databases(const std::vector<std::string>& texts) {
  ServedCollections databases;
  for (const std::string& text : texts) {
    const NamedDatabase database = NamedDatabase::parse(text);
    databases.add(database.name, std::make_shared<ServedCollection>(database.url));
  }
  return databases;
}

constexpr std::string_view kDigits = "0123456789abcdef";

// Browsers send some of these for pages of any origin.
bool changes_something(std::string_view method) {
  return method != "GET" && method != "HEAD" && method != "OPTIONS";
}

}  // namespace

Service::Service(ServeOptions options, Log::Sink log_sink, Log::Reopen reopen_log)
    : options_(std::move(options)),
      log_(std::move(log_sink), std::move(reopen_log)),
      hosts_(options_),
      rate_({.per_second = options_.limits.client_rate, .burst = options_.limits.client_burst}),
      keys_(std::make_shared<Keys>(options_.keys_file.empty() ? Keys() : Keys::read(options_.keys_file))),
      fitted_(std::make_shared<HeadFolder>(
          options_.heads_folder.empty() ? HeadFolder() : HeadFolder::read(options_.heads_folder))),
      databases_(open_databases(options_.databases)),
      collections_(read_collections()),
      router_(make_apis(*this)),
      workers_(options_.batching.decode_threads) {}

void Service::start(std::unique_ptr<const Model> model) {
  model_ = std::move(model);
  const ModelInfo& info = model_->info();
  const std::vector<uint8_t> pixels(info.image_width * info.image_height * 3, 128);
  const Image image = Image::from_rgb(info.image_width, info.image_height, pixels);
  const std::string text = "warm";
  for (size_t i = 0; i < model_->batches_at_once(); ++i) {
    model_->encode_images({&image, 1});
    model_->encode_texts({&text, 1});
  }
  encoder_ = std::make_unique<Encoder>(*model_, options_, workers_, metrics_);
  watchdog_ = std::make_unique<Watchdog>(*encoder_, workers_, options_, log_);
  ready_ = true;
  digesting_ = std::thread([this] { learn_identity(); });
}

void Service::learn_identity() {
  try {
    Identity identity = model_->identity([this] { return stopping_.load(); });
    const std::lock_guard lock(identity_mutex_);
    identity_ = std::move(identity);
  } catch (const std::exception& error) {
    if (stopping_) return;
    log_.write("error", "identity_unknown", {{"reason", json_text(error.what())}});
  }
}

std::optional<Identity> Service::identity(const DecodeOptions& decoding) const {
  const std::lock_guard lock(identity_mutex_);
  std::optional<Identity> identity = identity_;
  if (identity) identity->preprocessing = pipeline::preprocessing_text(decoding);
  return identity;
}

void Service::stop() {
  ready_ = false;
  stopping_ = true;
  if (digesting_.joinable()) digesting_.join();
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

void Service::reload_heads() {
  if (options_.heads_folder.empty()) return;
  auto fitted = std::make_shared<const HeadFolder>(HeadFolder::read(options_.heads_folder));
  const std::lock_guard lock(fitted_mutex_);
  fitted_ = std::move(fitted);
}

void Service::reload_collections() {
  auto collections = read_collections();
  const std::lock_guard lock(collections_mutex_);
  collections_ = std::move(collections);
}

std::shared_ptr<const ServedCollections> Service::read_collections() const {
  ServedCollections found;
  if (!options_.collections_folder.empty()) found = ServedCollections::in_folder(options_.collections_folder);
  for (const auto& [name, database] : databases_.all()) found.add(name, database);
  return std::make_shared<const ServedCollections>(std::move(found));
}

std::shared_ptr<const ServedCollections> Service::collections() const {
  const std::lock_guard lock(collections_mutex_);
  return collections_;
}

std::string Service::caller(const Request& request) const {
  const std::string hash = keys()->owner(request.header("authorization"));
  if (hash.empty()) return request.peer;
  std::string text = "key ";
  for (size_t i = 0; i < 8; ++i) {
    const auto byte = static_cast<uint8_t>(hash[i]);
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

// Without keys, whoever is on this machine.
bool Service::may_write(const Request& request) const {
  const auto keys = this->keys();
  return keys->empty() ? is_bound_to_loopback(options_) : keys->may_write(request.header("authorization"));
}

std::shared_ptr<const HeadFolder> Service::fitted_heads() const {
  const std::lock_guard lock(fitted_mutex_);
  return fitted_;
}

ApiContext Service::context() {
  ApiContext context{*model_, options_.limits, options_.model_name, heads_, catalogue_, fitted_heads()};
  if (!context.fitted->all().empty()) context.identity = identity(decode_options(options_));
  return context;
}

std::shared_ptr<const Keys> Service::keys() const {
  const std::lock_guard lock(keys_mutex_);
  return keys_;
}

std::optional<Response> Service::beyond_rate(const Request& request, const Api& api) {
  if (!rate_.is_limited()) return std::nullopt;
  const std::string key = keys()->owner(request.header("authorization"));
  const std::string client = key.empty() ? client_of_address(request.peer) : "key " + key;
  const Seconds wait = rate_.take(client, std::chrono::steady_clock::now());
  if (wait <= Seconds::zero()) return std::nullopt;
  metrics_.request_refused("rate");
  Response response = api.error(429, "too many requests of this client");
  const double whole = std::clamp(std::ceil(wait.count()), 1.0, 86400.0);
  response.headers.emplace_back("Retry-After", std::to_string(static_cast<int>(whole)));
  return response;
}

// What is refused whatever it asks for.
std::optional<Response> Service::refusal(const Request& request, const Api& api) {
  if (!hosts_.allow(request.header("host"))) {
    metrics_.request_refused("host");
    return api.error(421, "this service does not answer to that Host: see --allowed-host");
  }
  if (changes_something(request.method) && is_from_foreign_origin(request, options_)) {
    metrics_.request_refused("origin");
    return api.error(403, "pages of another origin may not call: see --cors-origin");
  }
  return std::nullopt;
}

// No such path, or no such method.
Response Service::no_route(const Request& request, const Api& api, const std::string& allow) const {
  if (!allow.empty()) {
    Response response = api.error(405, "Method Not Allowed");
    response.headers.emplace_back("Allow", allow);
    return response;
  }
  const std::string_view path = request.path;
  if (path.size() > 1 && path.ends_with('/')) {
    const std::string_view bare = path.substr(0, path.size() - 1);
    if (!router_.find(request.method, bare).allow.empty()) return redirect(bare, request.query);
  }
  return api.error(404, "Not Found");
}

std::variant<const Route*, Response> Service::admit(Request& request) {
  Router::Found found = router_.find(request.method, request.path);
  const Route* route = found.route;
  const Api& api = route != nullptr ? *route->api : router_.api_of(request.path);
  if (auto refused = refusal(request, api)) return std::move(*refused);
  if (route == nullptr || !route->for_operators)
    if (auto refused = beyond_rate(request, api)) return std::move(*refused);
  if (route == nullptr) return no_route(request, api, found.allow);
  if (route->needs_key && !keys()->accept(request.header("authorization"))) {
    Response response = api.error(401, "Not authenticated");
    response.headers.emplace_back("WWW-Authenticate", "Bearer");
    return response;
  }
  if (route->writes && !may_write(request)) return api.error(403, "writing needs a key with scope=write");
  if (route->computes && !ready_) {
    Response response = api.error(503, "the model is being loaded");
    response.headers.emplace_back("Retry-After", "1");
    return response;
  }
  request.parameters = std::move(found.parameters);
  return route;
}

std::string Service::unhealthy_reason() const {
  return ready_ ? watchdog_->reason() : "the model is being loaded";
}

Gauges Service::gauges() const {
  Gauges gauges;
  gauges.connections = connections_;
  gauges.log_lines_dropped = log_.dropped();
  gauges.ready = ready_ && !draining_;
  gauges.healthy = unhealthy_reason().empty();
  if (ready_) {
    gauges.admitted_images = encoder_->admitted_images();
    gauges.admitted_texts = encoder_->admitted_texts();
    gauges.queued_images = encoder_->queued_images();
    gauges.queued_texts = encoder_->queued_texts();
    const TextCacheCounts counts = model_->text_cache_counts();
    gauges.cache_hits = counts.hits;
    gauges.cache_misses = counts.misses;
    gauges.devices = model_->devices();
  }
  return gauges;
}

}  // namespace mii::serve
