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

MultipartReader::MultipartReader(const std::string& boundary, size_t max_parts)
    : delimiter_("\r\n--" + boundary), max_parts_(max_parts) {
  if (boundary.empty()) state_ = State::malformed;
}

void MultipartReader::take(std::string_view piece) {
  if (state_ == State::end || state_ == State::malformed) return;
  waiting_ += piece;
  while (read_on()) {
  }
  waiting_.erase(0, at_);
  at_ = 0;
}

Form MultipartReader::finish() {
  form_.well_formed = state_ == State::end;
  if (!form_.well_formed) form_.parts.clear();
  return std::move(form_);
}

// False when more bytes are needed, or none are wanted any more.
bool MultipartReader::read_on() {
  switch (state_) {
    case State::preamble:
      return find_boundary(nullptr);
    case State::boundary_end:
      return read_boundary_end();
    case State::headers:
      return read_headers();
    case State::data:
      return find_boundary(&form_.parts.back().data);
    case State::end:
    case State::malformed:
      break;
  }
  at_ = waiting_.size();
  return false;
}

// Appends what comes before it, as far as it cannot be the boundary's beginning.
bool MultipartReader::find_boundary(std::string* before) {
  const size_t found = waiting_.find(delimiter_, at_);
  const bool complete = found != std::string::npos;
  const size_t end =
      complete ? found : std::max(waiting_.size(), at_ + delimiter_.size() - 1) - delimiter_.size() + 1;
  if (before != nullptr) before->append(waiting_, at_, end - at_);
  at_ = complete ? end + delimiter_.size() : end;
  if (complete) state_ = State::boundary_end;
  return complete;
}

// "--" ends the body; else blanks and a line break lead to the next part.
bool MultipartReader::read_boundary_end() {
  const std::string_view text = std::string_view(waiting_).substr(at_);
  const bool undecided = text.size() < 2 && std::string_view("--").starts_with(text);
  if (undecided) return false;
  if (text.starts_with("--")) {
    state_ = State::end;
    return true;
  }
  const size_t blanks = std::min(text.find_first_not_of(" \t"), text.size());
  const std::string_view rest = text.substr(blanks, 2);
  if (rest == "\r\n") {
    at_ += blanks + rest.size();
    state_ = State::headers;
    return true;
  }
  if (blanks <= kMaxPartHeaderBytes && std::string_view("\r\n").starts_with(rest)) return false;
  state_ = State::malformed;
  return true;
}

bool MultipartReader::read_headers() {
  const std::string_view text = std::string_view(waiting_).substr(at_, kMaxPartHeaderBytes);
  const size_t end = text.find("\r\n\r\n");
  if (end == std::string_view::npos && text.size() < kMaxPartHeaderBytes) return false;
  FormPart part;
  const bool good = end != std::string_view::npos && form_.parts.size() < max_parts_ &&
                    read_part_headers(text.substr(0, end), part);
  state_ = good ? State::data : State::malformed;
  if (!good) return true;
  at_ += end + 4;
  form_.parts.push_back(std::move(part));
  return true;
}

}  // namespace mii::serve
