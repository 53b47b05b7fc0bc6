#include "serve/server.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <exception>
#include <future>
#include <optional>
#include <thread>

#include "core/number_text.h"
#include "mii/error.h"
#include "serve/network.h"
#include "serve/refuse_connection.h"
#include "serve/tls.h"

namespace mii::serve {

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

constexpr int kBacklog = 4096;
// A client that was answered just before the stop may already have sent its next request.
constexpr auto kLastRequestGrace = std::chrono::seconds(1);
constexpr auto kDrainTick = std::chrono::milliseconds(10);

// Clients that are being told that they have too many connections.
constexpr size_t kMaxRefusing = 64;

// A client's connection is counted as long as this lives.
class OpenConnection {
 public:
  OpenConnection(ConnectionCounts& counts, std::string client)
      : counts_(counts), client_(std::move(client)) {}
  ~OpenConnection() { counts_.close(client_); }
  OpenConnection(const OpenConnection&) = delete;
  OpenConnection& operator=(const OpenConnection&) = delete;

 private:
  ConnectionCounts& counts_;
  const std::string client_;
};

auto token(error_code& error) { return asio::redirect_error(asio::use_awaitable, error); }

}  // namespace

class Server::Impl {
 public:
  Impl(ServeOptions options, LogSink log, std::function<void()> reopen_log)
      : service_(std::move(options), std::move(log), std::move(reopen_log)),
        network_(service_),
        io_(1),
        acceptor_(io_),
        drain_timer_(io_) {
    load_tls();
    bind();
    log_start();
  }

  ~Impl() {
    if (loader_.joinable()) loader_.join();
    service_.stop();  // its threads call back into the context
  }

  uint16_t port() const { return port_; }

  bool run(const OpenModel& open_model, const RunOptions& options) {
    loader_ = std::thread([this, open_model, on_ready = options.on_ready] {
      load(open_model, on_ready);
      loaded_.set_value();
    });
    asio::co_spawn(io_, accept(), asio::detached);
    std::optional<asio::signal_set> signals;
    if (options.handle_signals) {
      signals.emplace(io_, SIGTERM, SIGINT, SIGHUP);
      wait_for_signal(*signals);
    }
    io_.run();
    // A model that hangs while it is loaded is waited for as long as requests are.
    if (loaded_.get_future().wait_for(service_.options().drain) == std::future_status::timeout) return false;
    loader_.join();
    if (load_error_) std::rethrow_exception(load_error_);
    return finished_;
  }

  void stop() {
    asio::post(io_, [this] { begin_drain(); });
  }

  void reload() {
    asio::post(io_, [this] { reload_now(); });
  }

  void log_warning(std::string_view sentence) {
    service_.log().write("warning", "model", {{"message", json_text(sentence)}});
  }

 private:
  void bind() {
    const ServeOptions& options = service_.options();
    error_code error;
    const auto address =
        asio::ip::make_address(options.host == "localhost" ? "127.0.0.1" : options.host, error);
    const std::string where = options.host + ":" + std::to_string(options.port);
    if (error) throw Error(ErrorCode::invalid_argument, where + ": the host must be an IP address");
    const tcp::endpoint endpoint(address, options.port);
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(kBacklog, error);
    if (error) throw Error(ErrorCode::io, where + ": cannot be bound: " + error.message());
    port_ = acceptor_.local_endpoint().port();
  }

  void log_start() {
    const ServeOptions& o = service_.options();
    const auto number = [](uint64_t n) { return std::to_string(n); };
    const std::string host = o.host.find(':') == std::string::npos ? o.host : "[" + o.host + "]";
    const std::string page =
        (network_.tls ? "https://" : "http://") + host + ":" + std::to_string(port_) + "/";
    service_.log().write("info", "listening",
                         {{"address", json_text(o.host)},
                          {"port", number(port_)},
                          {"page", json_text(page)},
                          {"tls", network_.tls ? "true" : "false"},
                          {"keys", service_.has_keys() ? "true" : "false"},
                          {"max_body_bytes", number(o.limits.body_bytes)},
                          {"max_images", number(o.limits.images)},
                          {"max_texts", number(o.limits.texts)},
                          {"max_text_bytes", number(o.limits.text_bytes)},
                          {"max_header_bytes", number(o.limits.header_bytes)},
                          {"max_connections", number(o.limits.connections)},
                          {"queue_images", number(o.batching.queue_images)},
                          {"decode_threads", number(static_cast<uint64_t>(service_.workers().threads()))}});
    if (!acceptor_.local_endpoint().address().is_loopback() && !service_.has_keys())
      service_.log().write(
          "warning", "open_to_the_network",
          {{"message", json_text("anybody who reaches " + o.host + " may use this service: give --keys")}});
  }

  void log_ready(const ModelInfo& info) {
    service_.log().write("info", "ready",
                         {{"model", json_text(service_.options().model_name)},
                          {"backend", json_text(info.backend)},
                          {"precision", json_text(to_string(info.precision))},
                          {"threads", std::to_string(info.threads)},
                          {"parameters", std::to_string(info.parameters)},
                          {"image_size", std::to_string(info.image_width)},
                          {"embedding_dim", std::to_string(info.embedding_dim)},
                          {"max_batch", std::to_string(service_.encoder().model().image_batch())}});
  }

  void load_tls() {
    const ServeOptions& options = service_.options();
    if (!options.tls_certificate.empty())
      network_.tls = make_tls_context(options.tls_certificate, options.tls_key);
  }

  void load(const OpenModel& open_model, const std::function<void(const ModelInfo&)>& on_ready) {
    try {
      service_.start(open_model());
      const ModelInfo& info = service_.encoder().model().info();
      log_ready(info);
      if (on_ready) on_ready(info);
    } catch (...) {
      load_error_ = std::current_exception();
      stop();
    }
  }

  asio::awaitable<void> accept() {
    for (;;) {
      error_code error;
      tcp::socket socket = co_await acceptor_.async_accept(token(error));
      if (error == asio::error::operation_aborted || !acceptor_.is_open()) co_return;
      if (!error) {
        take(std::move(socket));
        continue;
      }
      // Out of descriptors, for example: connections that close make room.
      asio::steady_timer pause(io_, std::chrono::milliseconds(20));
      co_await pause.async_wait(token(error));
    }
  }

  void take(tcp::socket socket) {
    if (service_.connections() >= service_.options().limits.connections) {
      service_.metrics().connection_refused(false);
      return;  // closes it
    }
    error_code error;
    const auto peer = socket.remote_endpoint(error);
    std::string client = error ? std::string() : client_of_address(peer.address().to_string());
    if (network_.clients.open(client)) {
      asio::co_spawn(io_, serve(std::move(socket), std::move(client)), asio::detached);
      return;
    }
    service_.metrics().connection_refused(true);
    // Under TLS a word would need a handshake first.
    if (!network_.tls && refusing_ < kMaxRefusing)
      asio::co_spawn(io_, refuse(std::move(socket)), asio::detached);
  }

  asio::awaitable<void> serve(tcp::socket socket, std::string client) {
    const OpenConnection open(network_.clients, std::move(client));
    auto connection = serve_connection(std::move(socket), network_);
    co_await std::move(connection);
  }

  asio::awaitable<void> refuse(tcp::socket socket) {
    ++refusing_;
    auto refusal = refuse_connection(std::move(socket));
    co_await std::move(refusal);
    --refusing_;
  }

  void wait_for_signal(asio::signal_set& signals) {
    signals.async_wait([this, &signals](const error_code& error, int signal) {
      if (error) return;
      if (signal == SIGHUP)
        reload_now();
      else if (network_.draining)
        end(false);
      else
        begin_drain();
      wait_for_signal(signals);
    });
  }

  void reload_now() {
    service_.log().reopen();
    for (const auto& [what, step] :
         {std::pair<const char*, std::function<void()>>{"keys", [this] { service_.reload_keys(); }},
          {"heads", [this] { service_.reload_heads(); }},
          {"collections", [this] { service_.reload_collections(); }},
          {"tls", [this] { load_tls(); }}}) {
      try {
        step();
        service_.log().write("info", "reloaded", {{"what", json_text(what)}});
      } catch (const std::exception& error) {
        service_.log().write("error", "reload_failed",
                             {{"what", json_text(what)}, {"reason", json_text(error.what())}});
      }
    }
  }

  void begin_drain() {
    if (network_.draining) return;
    network_.draining = true;
    service_.begin_drain();
    service_.log().write("info", "draining", {{"connections", std::to_string(service_.connections())}});
    // Connections that the system has accepted already are served.
    error_code error;
    acceptor_.non_blocking(true, error);
    while (!error) {
      tcp::socket socket(io_);
      acceptor_.accept(socket, error);
      if (!error) take(std::move(socket));
    }
    acceptor_.close(error);
    idle_until_ = Clock::now() + kLastRequestGrace;
    drain_until_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(service_.options().drain);
    drain();
  }

  void drain() {
    if (service_.connections() == 0 && !service_.is_busy()) return end(true);
    if (Clock::now() >= drain_until_) return end(false);
    if (Clock::now() >= idle_until_)
      for (const auto& end_if_idle : network_.connections) end_if_idle();
    drain_timer_.expires_after(kDrainTick);
    drain_timer_.async_wait([this](const error_code&) { drain(); });
  }

  void end(bool finished) {
    finished_ = finished;
    service_.log().write("info", "stopped", {{"finished", finished ? "true" : "false"}});
    io_.stop();
  }

  // Members are destroyed from the last to the first: the context destroys the connections' coroutines, which
  // refer to the members above.
  Service service_;
  Network network_;
  asio::io_context io_;
  tcp::acceptor acceptor_;
  asio::steady_timer drain_timer_;
  Clock::time_point idle_until_, drain_until_;
  uint16_t port_ = 0;
  size_t refusing_ = 0;
  bool finished_ = true;
  std::exception_ptr load_error_;
  std::promise<void> loaded_;
  std::thread loader_;
};

Server::Server(ServeOptions options, LogSink log, std::function<void()> reopen_log)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(log), std::move(reopen_log))) {}
Server::~Server() = default;

uint16_t Server::port() const { return impl_->port(); }

bool Server::run(const OpenModel& open_model, const RunOptions& options) {
  return impl_->run(open_model, options);
}

void Server::stop() { impl_->stop(); }

void Server::reload() { impl_->reload(); }

void Server::log_warning(std::string_view sentence) { impl_->log_warning(sentence); }

}  // namespace mii::serve
