#include "download/transfer.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "mii/error.h"

namespace mii {
namespace {

constexpr long kSlowBytesPerSecond = 100;
constexpr long kSlowSeconds = 30;
constexpr long kConnectSeconds = 30;
constexpr long kMaxRedirects = 10;

void set_up(CURL* curl, const std::string& url) {
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_DEFAULT_PROTOCOL, "https");
  // Ranges are to come by connections of their own.
  curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(curl, CURLOPT_MAXREDIRS, kMaxRedirects);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, kSlowBytesPerSecond);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, kSlowSeconds);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "mii");
}

// Another try would end in the same way.
bool is_final(CURLcode code) {
  return code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT ||
         code == CURLE_TOO_MANY_REDIRECTS || code == CURLE_PEER_FAILED_VERIFICATION;
}

bool is_temporary(long status) { return status == 408 || status == 416 || status == 429 || status >= 500; }

}  // namespace

Transfer::Transfer(CURLM* multi, Request request, PartFile& part)
    : multi_(multi), request_(std::move(request)), part_(part), curl_(curl_easy_init()) {
  if (!curl_) throw Error(ErrorCode::internal, "libcurl cannot be started");
  set_up(curl_.get(), request_.url);
  curl_easy_setopt(curl_.get(), CURLOPT_WRITEFUNCTION, &Transfer::on_body);
  curl_easy_setopt(curl_.get(), CURLOPT_WRITEDATA, this);
  curl_easy_setopt(curl_.get(), CURLOPT_HEADERFUNCTION, &Transfer::on_header);
  curl_easy_setopt(curl_.get(), CURLOPT_HEADERDATA, this);
  if (!request_.whole) ask_for_range();
  if (curl_multi_add_handle(multi_, curl_.get()) != CURLM_OK)
    throw Error(ErrorCode::internal, "libcurl takes no request");
}

Transfer::~Transfer() { curl_multi_remove_handle(multi_, curl_.get()); }

// The beginning of a file that is one range is asked for as everybody asks.
void Transfer::ask_for_range() {
  const std::vector<ByteRange>& ranges = part_.ranges();
  const ByteRange& range = ranges[request_.range];
  const bool to_the_end = request_.range + 1 == ranges.size();
  if (to_the_end && range.at == 0) return;
  const std::string text = std::to_string(range.at) + "-" + (to_the_end ? "" : std::to_string(range.end - 1));
  curl_easy_setopt(curl_.get(), CURLOPT_RANGE, text.c_str());
  ranged_ = true;
}

long Transfer::status() const {
  long status = 0;
  curl_easy_getinfo(curl_.get(), CURLINFO_RESPONSE_CODE, &status);
  return status;
}

std::chrono::seconds Transfer::retry_after() const {
  curl_off_t seconds = 0;
  curl_easy_getinfo(curl_.get(), CURLINFO_RETRY_AFTER, &seconds);
  return std::chrono::seconds(seconds);
}

Transfer::Outcome Transfer::judge(CURLcode code) {
  if (fault_) std::rethrow_exception(fault_);
  const long status = this->status();
  reason_ = code != CURLE_OK && status < 300 ? curl_easy_strerror(code) : "status " + std::to_string(status);
  if (is_final(code)) throw Error(ErrorCode::network, request_.url + ": " + curl_easy_strerror(code));
  if (status >= 400 && !is_temporary(status))
    throw Error(ErrorCode::network, request_.url + ": the server answered " + std::to_string(status));
  if (other_bytes_ || status == 416) return Outcome::other_bytes;
  if (status == 429 || status == 503) return Outcome::busy;
  const bool answered = status == (ranged_ ? 206 : 200);
  if (code != CURLE_OK || !answered) return Outcome::broken;
  if (request_.bytes == 0) part_.end_here(request_.range);
  return part_.ranges()[request_.range].complete() ? Outcome::complete : Outcome::broken;
}

void Transfer::expect_size(uint64_t bytes) const {
  if (request_.bytes != 0 && bytes != request_.bytes)
    throw Error(ErrorCode::network, request_.url + ": the server's file has " + std::to_string(bytes) +
                                        " bytes, expected " + std::to_string(request_.bytes));
}

// Before the first byte: is it the byte that was asked for?
bool Transfer::begin() {
  begun_ = true;
  const long status = this->status();
  if (status >= 300) return false;
  other_bytes_ = ranged_ ? status != 206 || first_byte_ != part_.ranges()[request_.range].at : status != 200;
  curl_off_t length = -1;
  curl_easy_getinfo(curl_.get(), CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
  if (!ranged_ && !other_bytes_ && length >= 0) expect_size(static_cast<uint64_t>(length));
  return !other_bytes_;
}

bool Transfer::take(const char* data, size_t size) {
  if (!begun_ && !begin()) return false;
  const ByteRange& range = part_.ranges()[request_.range];
  if (size > range.end - range.at)
    throw Error(ErrorCode::network, request_.url + ": the server sends more than the " +
                                        std::to_string(range.end - range.begin) + " bytes of the range");
  part_.add(request_.range, std::as_bytes(std::span(data, size)));
  return true;
}

size_t Transfer::on_body(char* data, size_t, size_t size, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  try {
    return transfer.take(data, size) ? size : 0;
  } catch (...) {
    transfer.fault_ = std::current_exception();
    return 0;
  }
}

void Transfer::take_header(std::string line) {
  std::ranges::transform(line, line.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  if (line.starts_with("http/")) first_byte_ = UINT64_MAX;  // of another answer, after a redirect
  unsigned long long first = 0, bytes = 0;
  const int read = std::sscanf(line.c_str(), "content-range: bytes %llu-%*u/%llu", &first, &bytes);
  if (read >= 1) first_byte_ = first;
  if (read == 2) expect_size(bytes);
}

size_t Transfer::on_header(char* data, size_t, size_t size, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  try {
    transfer.take_header(std::string(data, size));
    return size;
  } catch (...) {
    transfer.fault_ = std::current_exception();
    return 0;
  }
}

}  // namespace mii
