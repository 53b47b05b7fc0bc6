#include "core/number_text.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "core/utf8.h"

namespace mii {

std::string number_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  const double size = std::abs(value);
  const bool exponent = size != 0 && (size < 1e-4 || size >= 1e16);
  std::array<char, 400> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value,
                                 exponent ? std::chars_format::scientific : std::chars_format::fixed)
                       .ptr;
  std::string text(digits.data(), end);
  if (!exponent && text.find('.') == std::string::npos) text += ".0";
  return text;
}

std::optional<double> parse_number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::string json_text(std::string_view text) {
  std::string json = "\"";
  while (!text.empty()) {
    const Utf8Start start = utf8_start(text);
    const char32_t c = start.character;
    if (!start.valid)
      json += "\xEF\xBF\xBD";
    else if (c == '"' || c == '\\')
      json += {'\\', static_cast<char>(c)};
    else if (c == '\n')
      json += "\\n";
    else if (c == '\r')
      json += "\\r";
    else if (c == '\t')
      json += "\\t";
    else if (is_control(c)) {
      std::array<char, 8> escape;
      std::snprintf(escape.data(), escape.size(), "\\u%04x", static_cast<unsigned>(c));
      json += escape.data();
    } else
      json += text.substr(0, start.bytes);
    text.remove_prefix(start.bytes);
  }
  return json + '"';
}

std::string html_text(std::string_view text) {
  std::string html;
  for (const char c : text)
    html += c == '&'   ? "&amp;"
            : c == '<' ? "&lt;"
            : c == '>' ? "&gt;"
            : c == '"' ? "&quot;"
                       : std::string(1, c);
  return html;
}

}  // namespace mii
