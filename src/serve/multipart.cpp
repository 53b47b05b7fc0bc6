#include "serve/multipart.h"

#include <algorithm>
#include <cctype>

namespace mii::serve {
namespace {

constexpr size_t kMaxPartHeaderBytes = 8 << 10;

bool same_word(std::string_view a, std::string_view b) {
  return std::ranges::equal(
      a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// The value of one parameter of "value; a=b; c=\"d\"".
std::optional<std::string> parameter(std::string_view header, std::string_view name) {
  size_t i = header.find(';');
  while (i < header.size()) {
    const size_t equals = header.find('=', i + 1);
    if (equals == std::string_view::npos) return std::nullopt;
    const std::string_view key = trimmed(header.substr(i + 1, equals - i - 1));
    std::string value;
    i = equals + 1;
    if (i < header.size() && header[i] == '"') {
      for (++i; i < header.size() && header[i] != '"'; ++i) {
        if (header[i] == '\\' && i + 1 < header.size()) ++i;
        value += header[i];
      }
      i = header.find(';', i);
    } else {
      const size_t end = std::min(header.find(';', i), header.size());
      value = trimmed(header.substr(i, end - i));
      i = end;
    }
    if (same_word(key, name)) return value;
  }
  return std::nullopt;
}

// False when the part's headers do not make it a form field.
bool read_part_headers(std::string_view headers, FormPart& part) {
  bool named = false;
  while (!headers.empty()) {
    const size_t end = std::min(headers.find("\r\n"), headers.size());
    const std::string_view line = headers.substr(0, end);
    headers.remove_prefix(std::min(end + 2, headers.size()));
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) return false;
    if (!same_word(line.substr(0, colon), "content-disposition")) continue;
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (!same_word(trimmed(value.substr(0, value.find(';'))), "form-data")) return false;
    const auto name = parameter(value, "name");
    if (!name) return false;
    part.name = *name;
    part.is_file = parameter(value, "filename").has_value() || parameter(value, "filename*").has_value();
    named = true;
  }
  return named;
}

}  // namespace

std::string multipart_boundary(std::string_view content_type) {
  const std::string boundary = parameter(content_type, "boundary").value_or("");
  const bool allowed = !boundary.empty() && boundary.size() <= 70 &&
                       std::ranges::all_of(boundary, [](unsigned char c) { return c >= ' ' && c < 127; });
  return allowed ? boundary : "";
}

std::optional<std::vector<FormPart>> parse_multipart(std::string_view body, std::string_view boundary,
                                                     size_t max_parts) {
  std::vector<FormPart> parts;
  const std::string first = "--" + std::string(boundary), next = "\r\n" + first;
  if (boundary.empty()) return std::nullopt;
  // A preamble is allowed; the first boundary starts a line.
  size_t at = body.starts_with(first) ? 0 : body.find(next);
  if (at == std::string_view::npos) return std::nullopt;
  at += at == 0 && body.starts_with(first) ? first.size() : next.size();
  for (;;) {
    if (body.substr(at).starts_with("--")) return parts;
    while (at < body.size() && (body[at] == ' ' || body[at] == '\t')) ++at;
    if (!body.substr(at).starts_with("\r\n")) return std::nullopt;
    at += 2;
    const size_t headers_end = body.substr(at, kMaxPartHeaderBytes).find("\r\n\r\n");
    if (headers_end == std::string_view::npos || parts.size() == max_parts) return std::nullopt;
    FormPart part;
    if (!read_part_headers(body.substr(at, headers_end), part)) return std::nullopt;
    at += headers_end + 4;
    const size_t end = body.find(next, at);
    if (end == std::string_view::npos) return std::nullopt;
    part.data = body.substr(at, end - at);
    parts.push_back(std::move(part));
    at = end + next.size();
  }
}

}  // namespace mii::serve
