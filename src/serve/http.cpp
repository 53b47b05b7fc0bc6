#include "serve/http.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <span>

#include "core/number_text.h"
#include "core/utf8.h"

namespace mii::serve {
namespace {

using Style = JsonWriter::Style;

constexpr size_t kPieceBytes = 64 << 10;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string_view value_of(std::span<const std::pair<std::string, std::string>> pairs, std::string_view name) {
  for (const auto& [key, value] : pairs)
    if (key == name) return value;
  return {};
}

}  // namespace

std::string_view Request::header(std::string_view name) const { return value_of(headers, name); }

std::string_view Request::parameter(std::string_view name) const { return value_of(parameters, name); }

std::string Request::media_type() const {
  std::string_view type = header("content-type");
  type = type.substr(0, type.find(';'));
  while (!type.empty() && type.back() == ' ') type.remove_suffix(1);
  while (!type.empty() && type.front() == ' ') type.remove_prefix(1);
  std::string lower(type);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
  return lower;
}

Response json_response(std::string body, int status) {
  Response response;
  response.status = status;
  response.body = std::move(body);
  return response;
}

Response json_response(std::function<bool(JsonWriter& json)> step) {
  // A short answer is whole after its first piece.
  auto piece = [step = std::move(step), json = JsonWriter(Style::compact), more = true]() mutable {
    while (more && json.bytes() < kPieceBytes) more = step(json);
    return json.take();
  };
  Response response;
  response.body = piece();
  if (response.body.size() >= kPieceBytes) response.more = std::move(piece);
  return response;
}

Response detail_error(int status, const std::string& message) {
  JsonWriter json(Style::compact);
  return json_response(json.begin_object().member("detail", message).end_object().finish(), status);
}

std::string milliseconds(Seconds seconds) { return number_text(std::round(seconds.count() * 1e5) / 1e2); }

Headers timing_headers(const Timing& timing) {
  return {{"X-Queue-Ms", milliseconds(timing.queue)},
          {"X-Preprocess-Ms", milliseconds(timing.preprocess)},
          {"X-Inference-Ms", milliseconds(timing.inference)},
          {"X-Total-Ms", milliseconds(timing.total)}};
}

std::string percent_decoded(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      const int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
      if (high >= 0 && low >= 0) {
        out += static_cast<char>(high * 16 + low);
        i += 2;
        continue;
      }
    }
    out += text[i] == '+' && plus_is_space ? ' ' : text[i];
  }
  return out;
}

std::vector<std::pair<std::string, std::string>> decode_query(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> pairs;
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    const std::string_view part = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (part.empty()) continue;
    const size_t equals = std::min(part.find('='), part.size());
    pairs.emplace_back(percent_decoded(part.substr(0, equals), true),
                       percent_decoded(part.substr(std::min(equals + 1, part.size())), true));
  }
  return pairs;
}

bool is_plain_utf8(std::string_view text) {
  return text.find('\0') == std::string_view::npos && find_invalid_utf8(text) == std::string_view::npos;
}

}  // namespace mii::serve
