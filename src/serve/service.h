#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <variant>

#include "serve/client_limits.h"
#include "serve/served_collections.h"
#include "serve/encoder.h"
#include "serve/head_cache.h"
#include "serve/head_folder.h"
#include "serve/hosts.h"
#include "serve/http.h"
#include "serve/inputs.h"
#include "serve/keys.h"
#include "serve/log.h"
#include "serve/metrics.h"
#include "serve/model.h"
#include "serve/options.h"
#include "serve/router.h"
#include "serve/watchdog.h"
#include "serve/workers.h"

namespace mii::serve {

/// The service without the network.
class Service {
 public:
  /// Throws as Keys::read, HeadFolder::read and ServedCollections do.
  Service(ServeOptions options, Log::Sink log_sink, Log::Reopen reopen_log = {});

  /// Takes the model and computes one image and one text with it; from then on the service is ready.
  void start(std::unique_ptr<const Model> model);

  /// The route of a request whose head was read, which gets the path's parameters; or the answer that refuses
  /// it: 421, 403, 429, 404, 405, 307, 401, 403, 503. On the network's thread.
  std::variant<const Route*, Response> admit(Request& request);

  /// Reads the keys again. Throws as Keys::read does; the old keys then stay.
  void reload_keys();
  /// The same of the heads. Throws as HeadFolder::read does.
  void reload_heads();

  /// /readyz answers 503 from now on.
  void begin_drain() { draining_ = true; }

  /// Looks for collections in their folder again; databases stay. Throws as ServedCollections::in_folder
  /// does.
  void reload_collections();

  /// Waits for the threads; nothing computes afterwards. Nobody may use the encoder any more.
  void stop();

  /// For handlers; once the model is loaded.
  ApiContext context();
  std::shared_ptr<const HeadFolder> fitted_heads() const;
  std::shared_ptr<const ServedCollections> collections() const;
  /// Who asks, for the audit: "key 0123456789abcdef", the start of its hash, or an address.
  std::string caller(const Request& request) const;

  const ServeOptions& options() const { return options_; }
  const Router& router() const { return router_; }
  Encoder& encoder() { return *encoder_; }
  Workers& workers() { return workers_; }
  Metrics& metrics() { return metrics_; }
  Log& log() { return log_; }
  bool is_loaded() const { return ready_; }
  bool is_draining() const { return draining_; }
  /// By what the vectors of images decoded like this were made; nothing until the model's files are digested.
  std::optional<Identity> identity(const DecodeOptions& decoding) const;
  /// Empty while the engine answers.
  std::string unhealthy_reason() const;
  Gauges gauges() const;
  /// A worker or the engine is at work, maybe for a client that waits no longer.
  bool is_busy() const;
  bool has_keys() const;
  /// Kept by the network's side.
  std::atomic<size_t>& connections() { return connections_; }

 private:
  std::shared_ptr<const Keys> keys() const;
  std::shared_ptr<const ServedCollections> read_collections() const;
  void learn_identity();
  std::optional<Response> refusal(const Request& request, const Api& api);
  std::optional<Response> beyond_rate(const Request& request, const Api& api);
  bool may_write(const Request& request) const;
  Response no_route(const Request& request, const Api& api, const std::string& allow) const;

  const ServeOptions options_;
  Log log_;
  Metrics metrics_;
  const Hosts hosts_;
  RequestRate rate_;
  mutable std::mutex keys_mutex_;
  std::shared_ptr<const Keys> keys_;  // guarded by keys_mutex_
  mutable std::mutex fitted_mutex_;
  std::shared_ptr<const HeadFolder> fitted_;  // guarded by fitted_mutex_
  const ServedCollections databases_;
  mutable std::mutex collections_mutex_;
  std::shared_ptr<const ServedCollections> collections_;  // guarded by collections_mutex_
  const Router router_;
  const labels::Catalogue catalogue_ = labels::Catalogue::built_in();
  HeadCache heads_;
  std::atomic<bool> ready_ = false;
  std::atomic<bool> draining_ = false;
  std::atomic<size_t> connections_ = 0;
  std::unique_ptr<const Model> model_;  // set before ready_, as the two below
  std::unique_ptr<Encoder> encoder_;
  mutable std::mutex identity_mutex_;
  std::optional<Identity> identity_;  // guarded by identity_mutex_; without preprocessing
  std::atomic<bool> stopping_ = false;
  std::thread digesting_;
  Workers workers_;  // its tasks use all of the above
  std::unique_ptr<Watchdog> watchdog_;
};

}  // namespace mii::serve
