#include "serve/framing.h"

#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <cctype>
#include <charconv>

namespace mii::serve {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;
using Fault = FramingFault;

constexpr size_t kHeadPiece = 4 << 10;
constexpr size_t kBodyPiece = 64 << 10;
constexpr size_t kMaxFields = 100;
// Of a chunk's own lines, free of charge: its size in up to twelve digits and two line ends.
constexpr uint64_t kChunkLineBytes = 16;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  return out;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// RFC 3986: reg-name or an address in brackets, and a port. An empty host is no mistake in a Host header.
bool is_host(std::string_view host) {
  size_t end = 0;
  if (host.starts_with('[')) {
    end = std::min(host.find(']'), host.size());
    if (end == host.size() || end == 1) return false;
    const auto in_address = [](unsigned char c) { return std::isxdigit(c) || c == ':' || c == '.'; };
    if (!std::ranges::all_of(host.substr(1, end - 1), in_address)) return false;
    ++end;
  } else {
    constexpr std::string_view kMarks = "-._~%!$&'()*+,;=";
    while (end < host.size() && (std::isalnum(static_cast<unsigned char>(host[end])) ||
                                 kMarks.find(host[end]) != std::string_view::npos))
      ++end;
  }
  if (end == host.size()) return true;
  return host[end] == ':' && std::ranges::all_of(host.substr(end + 1), is_digit);
}

size_t count(const Headers& headers, std::string_view name) {
  return static_cast<size_t>(
      std::ranges::count_if(headers, [&](const auto& field) { return field.first == name; }));
}

bool is_token(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::ranges::all_of(text, [&](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || kMarks.find(c) != std::string_view::npos;
  });
}

// Lines end with CR LF, and hold no other control character but the tab.
bool may_follow(char before, char c) {
  const auto byte = static_cast<unsigned char>(c);
  if ((byte < ' ' && c != '\t' && c != '\r' && c != '\n') || byte == 127) return false;
  return (c == '\n') == (before == '\r');
}

// Behind a chunk's size: nothing, or what starts with a semicolon.
bool is_extension(std::string_view text) {
  return text.empty() || text.substr(std::min(text.find_first_not_of(" \t"), text.size())).starts_with(';');
}

// RFC 9112 6.1 and 6.3. Beast's parser has taken the same values, but takes more than these.
std::optional<Fault> check_length(const Request& request, unsigned version) {
  const size_t codings = count(request.headers, "transfer-encoding");
  const size_t lengths = count(request.headers, "content-length");
  if (lengths > 1 || codings > 1 || (lengths > 0 && codings > 0)) return Fault{};
  if (lengths == 1 && !std::ranges::all_of(request.header("content-length"), is_digit)) return Fault{};
  if (codings == 0) return std::nullopt;
  if (version < 11) return Fault{};
  if (lower(request.header("transfer-encoding")) != "chunked")
    return Fault{501, "Transfer-Encoding: only chunked is known here"};
  return std::nullopt;
}

std::optional<Fault> check_host(const Request& request, unsigned version) {
  const size_t hosts = count(request.headers, "host");
  if (hosts > 1 || (hosts == 0 && version >= 11) || !is_host(request.header("host"))) return Fault{};
  return std::nullopt;
}

// http://host/path is the same as /path with that Host.
std::optional<Fault> take_target(std::string_view target, Request& request) {
  if (request.method == "CONNECT") return Fault{501, "CONNECT is not offered here"};
  const size_t scheme = target.find("://");
  if (scheme != std::string_view::npos &&
      (lower(target.substr(0, scheme)) == "http" || lower(target.substr(0, scheme)) == "https")) {
    target.remove_prefix(scheme + 3);
    const size_t end = std::min(target.find_first_of("/?"), target.size());
    const std::string host(target.substr(0, end));
    target.remove_prefix(end);
    if (host.empty() || host.front() == ':' || !is_host(host)) return Fault{};
    std::erase_if(request.headers, [](const auto& field) { return field.first == "host"; });
    request.headers.emplace_back("host", host);
  } else if (!target.starts_with('/') && (target != "*" || request.method != "OPTIONS")) {
    return Fault{};
  }
  const size_t question = std::min(target.find('?'), target.size());
  request.path = question == 0 ? "/" : target.substr(0, question);
  request.query = target.substr(std::min(question + 1, target.size()));
  return std::nullopt;
}

// Beast's parser of a head; its fields go into the request. Bodies are read here: Beast keeps extensions and
// trailers of any length, and trips over its own assertions when chunks come byte by byte.
class HeadParser final : public http::basic_parser<true> {
 public:
  HeadParser(const Limits& limits, Request& request) : request_(request) {
    header_limit(static_cast<uint32_t>(std::min<size_t>(limits.header_bytes, UINT32_MAX)));
    skip(true);
  }

  std::string target;
  unsigned version = 11;

 private:
  using string_view = beast::string_view;

  void on_request_impl(http::verb, string_view method, string_view path, int number, error_code&) override {
    request_.method = std::string_view(method);
    target = std::string_view(path);
    version = static_cast<unsigned>(number);
  }
  void on_field_impl(http::field, string_view name, string_view value, error_code& error) override {
    if (request_.headers.size() == kMaxFields) error = http::error::header_limit;
    request_.headers.emplace_back(lower(name), std::string(value));
  }
  void on_response_impl(int, string_view, int, error_code&) override {}
  void on_header_impl(error_code&) override {}
  void on_body_init_impl(const boost::optional<uint64_t>&, error_code&) override {}
  size_t on_body_impl(string_view, error_code&) override { return 0; }
  void on_chunk_header_impl(uint64_t, string_view, error_code&) override {}
  size_t on_chunk_body_impl(uint64_t, string_view, error_code&) override { return 0; }
  void on_finish_impl(error_code&) override {}

  Request& request_;
};

}  // namespace

RequestReader::RequestReader(const Limits& limits)
    : limits_(limits), buffer_(limits.header_bytes + kBodyPiece) {}

boost::asio::mutable_buffer RequestReader::room() {
  const size_t piece = body_ended() ? kHeadPiece : kBodyPiece;
  return buffer_.prepare(std::min(piece, buffer_.max_size() - buffer_.size()));
}

void RequestReader::came(size_t bytes) { buffer_.commit(bytes); }

std::string_view RequestReader::waiting() const {
  return {static_cast<const char*>(buffer_.data().data()), buffer_.size()};
}

void RequestReader::consume(size_t bytes) {
  buffer_.consume(bytes);
  scanned_ = 0;
}

RequestReader::Step RequestReader::refuse(Fault fault) {
  fault_ = std::move(fault);
  return Step::refused;
}

RequestReader::Step RequestReader::find_head_end() {
  const std::string_view text = waiting();
  while (scanned_ < text.size()) {
    if (scanned_ == limits_.header_bytes)
      return refuse(
          {431, "the request's headers are larger than " + std::to_string(limits_.header_bytes) + " bytes"});
    const char c = text[scanned_], before = scanned_ == 0 ? '\0' : text[scanned_ - 1];
    const bool folded = before == '\n' && (c == ' ' || c == '\t');
    if (folded || !may_follow(before, c)) return refuse();
    if (text.substr(0, ++scanned_).ends_with("\r\n\r\n")) return Step::done;
  }
  return Step::more;
}

RequestReader::Step RequestReader::read_head(Request& request) {
  // RFC 9112 2.2: an empty line before a request is a habit of old clients.
  if (!blank_line_skipped_ && waiting().starts_with("\r\n")) {
    consume(2);
    blank_line_skipped_ = true;
  }
  if (const Step step = find_head_end(); step != Step::done) return step;

  HeadParser parser(limits_, request);
  error_code error;
  parser.put(boost::asio::buffer(buffer_.data(), scanned_), error);
  if (error == http::error::header_limit)
    return refuse({431, "the request has more than " + std::to_string(kMaxFields) + " header fields"});
  if (error || !parser.is_done()) return refuse();
  consume(scanned_);
  blank_line_skipped_ = false;
  version_ = parser.version;
  keep_alive_ = parser.keep_alive();

  for (const auto& fault :
       {check_length(request, version_), check_host(request, version_), take_target(parser.target, request)})
    if (fault) return refuse(*fault);
  const std::string expected = version_ < 11 ? "" : lower(request.header("expect"));
  if (!expected.empty() && expected != "100-continue") return refuse({417, "Expectation Failed"});
  expects_continue_ = !expected.empty();
  begin_body(request);
  return Step::done;
}

void RequestReader::begin_body(const Request& request) {
  const std::string_view length = request.header("content-length");
  content_length_.reset();
  framing_bytes_ = chunks_ = left_ = 0;
  if (count(request.headers, "transfer-encoding") > 0) {
    state_ = State::chunk_size;
  } else {
    std::from_chars(length.data(), length.data() + length.size(), left_);
    if (!length.empty()) content_length_ = left_;
    state_ = left_ > 0 ? State::bytes : State::ended;
  }
}

// A line around a chunk, without its end. What it costs is counted while it comes; a chunk has a few bytes
// free.
RequestReader::Step RequestReader::next_line(std::string& line) {
  const std::string_view text = waiting();
  while (scanned_ < text.size()) {
    const char c = text[scanned_], before = scanned_ == 0 ? '\0' : text[scanned_ - 1];
    if (!may_follow(before, c)) return refuse();
    ++scanned_;
    if (scanned_ > limits_.header_bytes ||
        ++framing_bytes_ > limits_.header_bytes + kChunkLineBytes * (chunks_ + 1))
      return refuse({431, "the chunks' extensions and trailers are larger than " +
                              std::to_string(limits_.header_bytes) + " bytes"});
    if (c != '\n') continue;
    line = text.substr(0, scanned_ - 2);
    consume(scanned_);
    return Step::done;
  }
  return Step::more;
}

// False for a line that has no place there.
bool RequestReader::take_line(const std::string& line) {
  if (state_ == State::chunk_end) {
    state_ = State::chunk_size;
    return line.empty();
  }
  if (state_ == State::trailer) {  // says nothing that is needed here
    if (line.empty()) state_ = State::ended;
    const size_t colon = line.find(':');
    return line.empty() || (colon != std::string::npos && is_token(std::string_view(line).substr(0, colon)));
  }
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), left_, 16);
  if (error != std::errc() || !is_extension({end, line.data() + line.size()})) return false;
  ++chunks_;
  state_ = left_ > 0 ? State::chunk_bytes : State::trailer;
  return true;
}

// False when more are needed.
bool RequestReader::take_bytes(const std::function<void(std::string_view)>& take) {
  const std::string_view piece = waiting().substr(0, left_);
  take(piece);
  left_ -= piece.size();
  consume(piece.size());
  if (left_ > 0) return false;
  state_ = state_ == State::bytes ? State::ended : State::chunk_end;
  return true;
}

RequestReader::Step RequestReader::read_body(const std::function<void(std::string_view)>& take) {
  while (!body_ended()) {
    if (state_ == State::bytes || state_ == State::chunk_bytes) {
      if (!take_bytes(take)) return Step::more;
      continue;
    }
    std::string line;
    if (const Step step = next_line(line); step != Step::done) return step;
    if (!take_line(line)) return refuse();
  }
  if (buffer_.size() == 0) buffer_.shrink_to_fit();
  return Step::done;
}

}  // namespace mii::serve
