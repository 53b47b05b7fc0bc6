// The bytes of a connection, through the code that finds where its requests begin and end. What it takes for
// a request is read once more here, line by line, as RFC 9112 says: both must agree on where the body ends,
// or the bytes of a body would be the next request. However the bytes are cut, the requests are the same; no
// more of them waits than a head and one piece.
#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "serve/framing.h"

namespace {

using namespace mii::serve;
using Step = RequestReader::Step;

constexpr size_t kHeaderBytes = 512;
constexpr size_t kPiece = 64 << 10;

void expect(bool condition) {
  if (!condition) std::abort();
}

struct Message {
  size_t head_end = 0;  // offsets in the input
  size_t end = 0;
  std::string body;
  bool operator==(const Message&) const = default;
};

struct Connection {
  std::vector<Message> messages;
  bool refused = false;
  bool operator==(const Connection&) const = default;
};

// Reads all of the input, piece() bytes at a time.
template <typename Piece>
Connection read(std::string_view input, Piece piece) {
  const Limits limits{.header_bytes = kHeaderBytes};
  RequestReader reader(limits);
  Connection seen;
  size_t fed = 0;
  const auto feed = [&] {
    if (fed == input.size()) return false;
    const auto room = reader.room();
    expect(room.size() > 0);
    const size_t bytes = std::min({room.size(), piece(), input.size() - fed});
    std::memcpy(room.data(), input.data() + fed, bytes);
    reader.came(bytes);
    fed += bytes;
    expect(reader.buffered() <= kHeaderBytes + kPiece);
    return true;
  };
  const auto finished = [&](auto read_on) {
    Step step = read_on();
    while (step == Step::more && feed()) step = read_on();
    seen.refused = step == Step::refused;
    return step == Step::done;
  };
  for (;;) {
    Request request;
    Message message;
    if (!finished([&] { return reader.read_head(request); })) return seen;
    message.head_end = fed - reader.buffered();
    if (!finished([&] { return reader.read_body([&](std::string_view piece) { message.body += piece; }); }))
      return seen;
    message.end = fed - reader.buffered();
    seen.messages.push_back(std::move(message));
  }
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// The next line, which must end with CR LF and hold no other line end.
std::string_view line(std::string_view& text) {
  const size_t end = text.find("\r\n");
  expect(end != std::string_view::npos);
  const std::string_view found = text.substr(0, end);
  expect(found.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos);
  text.remove_prefix(end + 2);
  return found;
}

std::string chunked_body(std::string_view& text) {
  std::string body;
  for (;;) {
    std::string_view size_line = line(text);
    const std::string digits(trimmed(size_line.substr(0, size_line.find(';'))));
    expect(!digits.empty() && digits.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos);
    const unsigned long long size = std::stoull(digits, nullptr, 16);
    if (size == 0) break;
    expect(size <= text.size());
    body += text.substr(0, size);
    text.remove_prefix(size);
    expect(text.starts_with("\r\n"));
    text.remove_prefix(2);
  }
  while (!line(text).empty()) {
  }
  return body;
}

// text: from a request's first byte. Aborts unless the message is what RFC 9112 makes of it.
void check(std::string_view text, size_t begin, const Message& message) {
  const size_t all = text.size();
  if (text.starts_with("\r\n")) text.remove_prefix(2);
  const std::string_view start = line(text);
  std::vector<std::string> lengths, codings, hosts;
  for (;;) {
    const std::string_view field = line(text);
    if (field.empty()) break;
    const size_t colon = field.find(':');
    expect(colon != std::string_view::npos && colon > 0);
    const std::string name = lower(field.substr(0, colon)), value = lower(trimmed(field.substr(colon + 1)));
    expect(name.find_first_of(" \t") == std::string::npos);
    if (name == "content-length") lengths.push_back(value);
    if (name == "transfer-encoding") codings.push_back(value);
    if (name == "host") hosts.push_back(value);
  }
  expect(message.head_end == begin + all - text.size());
  const bool http11 = start.ends_with(" HTTP/1.1");
  expect(http11 || start.ends_with(" HTTP/1.0"));
  expect(hosts.size() == 1 || (!http11 && hosts.empty()));
  expect(lengths.size() + codings.size() <= 1);
  std::string body;
  if (!codings.empty()) {
    expect(http11 && codings[0] == "chunked");
    body = chunked_body(text);
  } else if (!lengths.empty()) {
    expect(!lengths[0].empty() && lengths[0].find_first_not_of("0123456789") == std::string::npos);
    const unsigned long long length = std::stoull(lengths[0]);
    expect(length <= text.size());
    body = text.substr(0, length);
    text.remove_prefix(length);
  }
  expect(message.body == body);
  expect(message.end == begin + all - text.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const Connection whole = read(input, [] { return kPiece; });
  size_t begin = 0;
  for (const Message& message : whole.messages) {
    check(input.substr(begin), begin, message);
    begin = message.end;
  }
  expect(read(input, [] { return size_t{1}; }) == whole);
  std::minstd_rand random(static_cast<unsigned>(size));
  expect(read(input, [&] { return size_t{1} + random() % 40; }) == whole);
  return 0;
}

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace {

constexpr std::string_view kLines[] = {"GET / HTTP/1.1\r\n",
                                       "POST /encode HTTP/1.1\r\n",
                                       "GET http://h/ HTTP/1.0\r\n",
                                       "OPTIONS * HTTP/1.1\r\n",
                                       "Host: h\r\n",
                                       "Content-Length: 5\r\n",
                                       "Content-Length: 0\r\n",
                                       "Transfer-Encoding: chunked\r\n",
                                       "Transfer-Encoding: gzip, chunked\r\n",
                                       "Connection: close\r\n",
                                       "Connection: keep-alive\r\n",
                                       "Expect: 100-continue\r\n",
                                       "\r\n",
                                       "5\r\nGET /\r\n",
                                       "1;a=\"b\r\n",
                                       "0\r\n\r\n",
                                       "0\r\nX: y\r\n\r\n",
                                       " folded\r\n",
                                       "\n",
                                       "\r",
                                       "GET / HTTP/1.1\r\nHost: h\r\n\r\n"};
constexpr std::string_view kNumbers[] = {"0",
                                         "1",
                                         "2",
                                         "5",
                                         "a",
                                         "F",
                                         "00000005",
                                         "10",
                                         "ff",
                                         "200",
                                         "7fffffff",
                                         "ffffffff",
                                         "7fffffffffffffff",
                                         "ffffffffffffffff",
                                         "10000000000000005",
                                         "18446744073709551615",
                                         "18446744073709551621",
                                         "+5",
                                         "-1",
                                         "0x5",
                                         "5 ",
                                         ""};

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return lines;
}

// The number in a line, by another.
void change_number(std::string& line, std::string_view number) {
  const auto is_digit = [](unsigned char c) { return std::isxdigit(c) != 0; };
  const size_t colon = line.find(':');
  const auto from = line.begin() + static_cast<ptrdiff_t>(colon == std::string::npos ? 0 : colon + 1);
  const auto begin = std::find_if(from, line.end(), is_digit);
  const auto end = std::find_if_not(begin, line.end(), is_digit);
  line.replace(begin, end, number);
}

}  // namespace

// Lines, numbers and chunks, where bytes alone would seldom make another request.
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  std::minstd_rand random(seed);
  const auto below = [&](size_t n) { return static_cast<size_t>(random() % n); };
  std::vector<std::string> lines = lines_of({reinterpret_cast<const char*>(data), size});
  if (lines.empty() || below(4) == 0) return LLVMFuzzerMutate(data, size, max_size);
  const size_t at = below(lines.size());
  const auto place = lines.begin() + static_cast<ptrdiff_t>(at);
  switch (below(6)) {
    case 0:
      lines.erase(place);
      break;
    case 1:
      lines.insert(place, std::string(lines[below(lines.size())]));
      break;
    case 2:
      std::swap(lines[at], lines[below(lines.size())]);
      break;
    case 3:
      lines.insert(place, std::string(kLines[below(std::size(kLines))]));
      break;
    case 4:
      change_number(lines[at], kNumbers[below(std::size(kNumbers))]);
      break;
    case 5:
      if (lines[at].size() < max_size) lines[at].insert(below(lines[at].size() + 1), below(600), 'a');
      break;
  }
  std::string text;
  for (const std::string& part : lines) text += part;
  text.resize(std::min(text.size(), max_size));
  std::ranges::copy(text, data);
  return text.size();
}
