// One client's connection: heads and bodies in, answers out, all with a time limit.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <boost/beast/version.hpp>
#include <array>
#include <sstream>
#include <utility>

#include "core/number_text.h"
#include "serve/access_log.h"
#include "serve/body_reader.h"
#include "serve/cors.h"
#include "serve/deadline.h"
#include "serve/dispatch.h"
#include "serve/framing.h"
#include "serve/network.h"
#include "serve/request_id.h"

namespace mii::serve {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using Clock = std::chrono::steady_clock;
using boost::system::error_code;

// A body that nobody wants is read up to here, so that the connection can go on.
constexpr uint64_t kMaxSkippedBytes = 64 << 10;
constexpr size_t kDiscardPiece = 16 << 10;
constexpr uint64_t kMaxDiscardedBytes = 256ull << 20;
constexpr auto kDiscardTime = std::chrono::seconds(5);

auto token(error_code& error) { return asio::redirect_error(asio::use_awaitable, error); }

Clock::duration ticks(Seconds seconds) { return std::chrono::duration_cast<Clock::duration>(seconds); }

// While this lives, the body's bytes count towards the limit on all bodies.
class BodyCharge {
 public:
  explicit BodyCharge(Network& network) : network_(network) {}
  ~BodyCharge() { release(); }
  BodyCharge(const BodyCharge&) = delete;
  BodyCharge& operator=(const BodyCharge&) = delete;

  bool add(uint64_t bytes) {
    if (network_.body_bytes + bytes > network_.service.options().limits.bodies_bytes) return false;
    network_.body_bytes += bytes;
    bytes_ += bytes;
    return true;
  }
  void release() {
    network_.body_bytes -= bytes_;
    bytes_ = 0;
  }

 private:
  Network& network_;
  uint64_t bytes_ = 0;
};

// GCC 12 destroys temporaries twice in an expression with co_await, so they are named here.
template <typename Stream>
class Connection {
 public:
  Connection(Stream& stream, Network& network)
      : stream_(stream),
        network_(network),
        service_(network.service),
        limits_(service_.options().limits),
        reader_(limits_) {
    error_code ignored;
    const auto endpoint = tcp().socket().remote_endpoint(ignored);
    if (!ignored) peer_ = endpoint.address().to_string();
  }

  asio::awaitable<void> run() {
    bool open = true;
    while (open) open = co_await serve_one();
  }

  void end_if_idle() {
    error_code ignored;
    if (idle_ && tcp().socket().available(ignored) == 0) tcp().cancel();
  }

 private:
  beast::tcp_stream& tcp() { return beast::get_lowest_layer(stream_); }

  // False when the connection is to be closed.
  asio::awaitable<bool> serve_one() {
    const bool came = co_await wait_for_request();
    if (!came) co_return false;
    start_ = Clock::now();
    deadline_ = kNoDeadline;
    Request request;
    const bool read = co_await read_head(request);
    if (!read) co_return false;

    const Route* route = nullptr;
    std::optional<Response> refusal = admit(request, route);
    const auto charge = std::make_shared<BodyCharge>(network_);
    error_code error;
    auto taking = take_body(request, refusal ? nullptr : route, *charge, error);
    std::optional<Response> bad_body = co_await std::move(taking);
    if (error) co_return false;
    if (bad_body) refusal = std::move(bad_body);
    Response response;
    if (refusal) {
      response = std::move(*refusal);
    } else {
      auto working = carry_out(request, *route, charge);
      response = co_await std::move(working);
    }
    const bool all_read = reader_.body_ended();
    const bool keep = all_read && reader_.keep_alive() && !network_.draining && response.status != 499;
    const bool open = co_await answer(request, route, response, reader_.version(), keep, all_read);
    co_return open;
  }

  // Sets route and the deadline, or returns the answer that refuses a request by its head.
  std::optional<Response> admit(Request& request, const Route*& route) {
    if (auto preflight = cors_preflight(request, service_.options())) return preflight;
    auto admitted = service_.admit(request);
    if (auto* refusal = std::get_if<Response>(&admitted)) return std::move(*refusal);
    route = std::get<const Route*>(admitted);
    auto deadline = deadline_of(request, *route, service_.options(), start_);
    if (auto* refusal = std::get_if<Response>(&deadline)) return std::move(*refusal);
    deadline_ = std::get<Deadline>(deadline);
    return std::nullopt;
  }

  // Reads the body that the route takes, or skips one that nobody asked for. Returns the answer that refuses
  // it. route: null when the request is refused already. error: of the network; the connection is then closed
  // without an answer.
  asio::awaitable<std::optional<Response>> take_body(Request& request, const Route* route, BodyCharge& charge,
                                                     error_code& error) {
    const Api& api = route != nullptr ? *route->api : service_.router().api_of(request.path);
    const bool wanted = route != nullptr && route->method != "GET" && route->method != "DELETE";
    auto taking = wanted ? read_body(request, *route, charge, error) : skip_body(api, error);
    std::optional<Response> refusal = co_await std::move(taking);
    if (refusal) {
      charge.release();
    }
    co_return refusal;
  }

  asio::awaitable<Response> carry_out(Request& request, const Route& route,
                                      const std::shared_ptr<BodyCharge>& charge) {
    // The worker's own: it may still be busy with it when the answer is a 504.
    std::string body = std::move(request.body);
    std::optional<Form> form = std::exchange(request.form, std::nullopt);
    Request work = request;
    work.body = std::move(body);
    work.form = std::move(form);
    const Patience patience{deadline_, gone_};
    auto answering = dispatch(service_, route, std::move(work), charge, patience);
    Response response = co_await std::move(answering);
    co_return response;
  }

  asio::awaitable<void> receive(error_code& error) {
    const size_t bytes = co_await stream_.async_read_some(reader_.room(), token(error));
    reader_.came(bytes);
  }

  asio::awaitable<bool> wait_for_request() {
    if (reader_.buffered() > 0) co_return true;
    error_code error;
    tcp().expires_after(network_.draining ? std::chrono::seconds(1) : ticks(limits_.idle_time));
    idle_ = true;
    co_await receive(error);
    idle_ = false;
    co_return !error;
  }

  // False when there is none; the client was told if it sent something that is none.
  asio::awaitable<bool> read_head(Request& request) {
    tcp().expires_after(ticks(limits_.header_time));
    error_code error;
    auto step = reader_.read_head(request);
    while (step == RequestReader::Step::more) {
      co_await receive(error);
      if (error) co_return false;
      step = reader_.read_head(request);
    }
    request.peer = peer_;
    request.request_id = request_id_of(request.header("x-request-id"));
    if (step == RequestReader::Step::done) co_return true;
    if (request.method.empty()) request.method = "OTHER";
    Response response = malformed(service_.router().api_of(request.path));
    co_await answer(request, nullptr, response, 11, false, false);
    co_return false;
  }

  Response malformed(const Api& api) const {
    return api.error(reader_.fault().status, reader_.fault().reason);
  }

  Response too_large(const Api& api) const {
    return api.error(413, "the body is larger than " + std::to_string(limits_.body_bytes) + " bytes");
  }

  static Response memory_full(const Api& api) {
    Response response = api.error(429, "too many bodies are being received");
    response.headers.emplace_back("Retry-After", "1");
    return response;
  }

  asio::awaitable<std::optional<Response>> read_body(Request& request, const Route& route, BodyCharge& charge,
                                                     error_code& error) {
    const Api& api = *route.api;
    if (reader_.content_length().value_or(0) > limits_.body_bytes) co_return too_large(api);
    if (reader_.expects_continue() && !reader_.body_ended()) {
      constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
      co_await asio::async_write(stream_, asio::buffer(kContinue), token(error));
      if (error) co_return std::nullopt;
    }
    BodyReader body(request, route.takes_files, limits_);
    const auto take = [&body](std::string_view piece) { body.take(piece); };
    const BreakOff late(tcp(), deadline_);
    tcp().expires_after(ticks(limits_.body_time));
    for (;;) {
      if (late.happened()) co_return deadline_passed(api);
      const size_t before = body.bytes();
      const auto step = reader_.read_body(take);
      if (body.bytes() > limits_.body_bytes) co_return too_large(api);
      if (!charge.add(body.bytes() - before)) co_return memory_full(api);
      if (step == RequestReader::Step::refused) co_return malformed(api);
      if (step == RequestReader::Step::done) {
        body.finish(request);
        co_return std::nullopt;
      }
      co_await receive(error);
      if (error && late.happened()) {
        error = {};
        co_return deadline_passed(api);
      }
      if (error) co_return std::nullopt;
    }
  }

  // Reads a small body that nobody wants, and keeps nothing of it. A larger one is left where it is: the
  // connection then closes after the answer.
  asio::awaitable<std::optional<Response>> skip_body(const Api& api, error_code& error) {
    if (reader_.expects_continue() || reader_.content_length().value_or(0) > kMaxSkippedBytes)
      co_return std::nullopt;
    tcp().expires_after(kDiscardTime);
    for (uint64_t bytes = 0; bytes <= kMaxSkippedBytes;) {
      const auto step = reader_.read_body([](std::string_view) {});
      if (step == RequestReader::Step::refused) co_return malformed(api);
      if (step == RequestReader::Step::done) co_return std::nullopt;
      co_await receive(error);
      if (error) co_return std::nullopt;
      bytes += reader_.buffered();
    }
    co_return std::nullopt;
  }

  std::string head_of(const Request& request, const Route* route, const Response& response, unsigned version,
                      bool keep) const {
    http::response_header<> head;
    head.version(version);
    head.result(static_cast<unsigned>(response.status));
    if (response.status != 204) head.set(http::field::content_type, response.content_type);
    head.set("X-Request-Id", request.request_id);
    head.set("X-Content-Type-Options", "nosniff");
    if (route == nullptr || route->computes) head.set(http::field::cache_control, "no-store");
    const auto set_all = [&head](const Headers& headers) {
      for (const auto& [name, value] : headers) head.set(name, value);
    };
    set_all(response.headers);
    if (response.timing) set_all(timing_headers(*response.timing));
    set_all(cors_headers(request, service_.options()));
    if (keep != (version >= 11)) head.set(http::field::connection, keep ? "keep-alive" : "close");
    if (response.more && version >= 11)
      head.set(http::field::transfer_encoding, "chunked");
    else if (!response.more && response.status != 204 && response.status != 304)
      head.set(http::field::content_length, std::to_string(response.body.size()));
    std::ostringstream text;
    text << head;
    return std::move(text).str();
  }

  asio::awaitable<void> send(std::string_view head, std::string_view body, error_code& error) {
    const std::array<asio::const_buffer, 2> buffers{asio::buffer(head), asio::buffer(body)};
    co_await asio::async_write(stream_, buffers, token(error));
  }

  // Sends an answer while it is written. False when it was broken off; the status is then what it came to.
  asio::awaitable<bool> send_pieces(std::string head, Response& response, bool chunked) {
    const auto pieces = std::make_shared<Pieces>();
    pieces->more = std::move(response.more);
    pieces->piece = std::move(response.body);
    std::string text = std::move(head) + (pieces->piece.empty() ? "" : framed(pieces->piece, chunked));
    // What the client makes us wait, in all; what the workers need is not its fault.
    Clock::duration left = ticks(limits_.write_time);
    const Patience patience{deadline_, gone_};
    for (bool ended = false;;) {
      const auto begin = Clock::now();
      tcp().expires_at(std::min(begin + left, deadline_));
      error_code error;
      auto sending = send(text, {}, error);
      co_await std::move(sending);
      left -= Clock::now() - begin;
      if (error) response.status = Clock::now() >= deadline_ ? 504 : 499;
      if (error || ended) co_return ended && !error;
      auto writing = write_more(service_, pieces, patience);
      const int status = co_await std::move(writing);
      if (status != 200) response.status = status;
      if (status != 200) co_return false;
      ended = pieces->piece.empty();
      text = framed(pieces->piece, chunked);
    }
  }

  // A piece of a body, or its end.
  static std::string framed(const std::string& piece, bool chunked) {
    if (!chunked) return piece;
    std::ostringstream size;
    size << std::hex << piece.size();
    return size.str() + "\r\n" + piece + "\r\n";
  }

  // True when the connection may be kept. all_read: the whole request has been read.
  asio::awaitable<bool> answer(const Request& request, const Route* route, Response& response,
                               unsigned version, bool keep, bool all_read) {
    if (response.status == 499) {  // nobody is there to read it
      note(request, route, response);
      co_return false;
    }
    if (response.more && version < 11) keep = false;  // it ends where the connection does
    const std::string head = head_of(request, route, response, version, keep);
    bool sent = false;
    if (response.more && request.method != "HEAD") {
      auto sending = send_pieces(head, response, version >= 11);
      sent = co_await std::move(sending);
    } else {
      // The word that it is too late has its own time.
      const auto until = response.status == 504 ? kNoDeadline : deadline_;
      tcp().expires_at(std::min(Clock::now() + ticks(limits_.write_time), until));
      error_code error;
      auto sending = send(head, request.method == "HEAD" ? std::string_view() : response.body, error);
      co_await std::move(sending);
      sent = !error;
    }
    note(request, route, response);
    if (!sent) co_return false;
    if (!keep && !all_read) co_await discard();
    co_return keep;
  }

  // A client that is still sending would see a reset instead of its answer, so the rest is read and
  // discarded.
  asio::awaitable<void> discard() {
    error_code error;
    tcp().socket().shutdown(asio::ip::tcp::socket::shutdown_send, error);
    tcp().expires_after(kDiscardTime);
    std::vector<char> piece(kDiscardPiece);
    for (uint64_t bytes = 0; !error && bytes < kMaxDiscardedBytes;)
      bytes += co_await tcp().async_read_some(asio::buffer(piece), token(error));
  }

  // The peer has closed its side, or the connection is broken.
  bool peer_gone() {
    tcp_info info{};
    socklen_t size = sizeof(info);
    if (getsockopt(tcp().socket().native_handle(), IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return true;
    return info.tcpi_state != TCP_ESTABLISHED;
  }

  void note(const Request& request, const Route* route, const Response& response) {
    const Seconds seconds = Clock::now() - start_;
    note_request(service_, request, route, response, seconds);
  }

  Stream& stream_;
  Network& network_;
  Service& service_;
  const Limits& limits_;
  std::string peer_;
  RequestReader reader_;
  Clock::time_point start_ = Clock::now();
  Deadline deadline_ = kNoDeadline;  // of the request under way
  bool idle_ = false;
  const std::function<bool()> gone_ = [this] { return peer_gone(); };
};

// Counts the connection and lets the service end it while it is idle.
template <typename Stream>
asio::awaitable<void> serve_stream(Stream& stream, Network& network) {
  Connection<Stream> connection(stream, network);
  const auto entry =
      network.connections.insert(network.connections.end(), [&connection] { connection.end_if_idle(); });
  try {
    co_await connection.run();
  } catch (...) {
    network.connections.erase(entry);
    throw;
  }
  network.connections.erase(entry);
}

struct Count {
  explicit Count(std::atomic<size_t>& n) : count(n) { ++count; }
  ~Count() { --count; }
  Count(const Count&) = delete;
  Count& operator=(const Count&) = delete;
  std::atomic<size_t>& count;
};

}  // namespace

asio::awaitable<void> serve_connection(asio::ip::tcp::socket socket, Network& network) {
  const Count count(network.service.connections());
  const Limits& limits = network.service.options().limits;
  error_code error;
  socket.set_option(asio::ip::tcp::no_delay(true), error);
  const auto tls = network.tls;  // kept: a reload may replace it meanwhile
  try {
    if (!tls) {
      beast::tcp_stream stream(std::move(socket));
      co_await serve_stream(stream, network);
      stream.socket().shutdown(asio::ip::tcp::socket::shutdown_both, error);
      co_return;
    }
    asio::ssl::stream<beast::tcp_stream> stream(beast::tcp_stream(std::move(socket)), *tls);
    stream.next_layer().expires_after(ticks(limits.header_time));
    co_await stream.async_handshake(asio::ssl::stream_base::server, token(error));
    if (error) co_return;
    co_await serve_stream(stream, network);
    stream.next_layer().expires_after(std::chrono::seconds(1));
    co_await stream.async_shutdown(token(error));
  } catch (const std::exception&) {
    // Out of memory: this connection is lost, the others go on.
    network.service.log().write("error", "connection_failed");
  }
}

}  // namespace mii::serve
