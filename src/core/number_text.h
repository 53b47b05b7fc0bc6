#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mii {

/// A number as Python's repr writes it: the shortest digits that read back as the same double ("0.0001",
/// "1e-05", "1.0").
std::string number_text(double value);

/// The finite number that a text is, nothing before and nothing after it.
std::optional<double> parse_number(std::string_view text);

/// A text as a JSON string, quotes included: valid UTF-8 whatever the text holds (U+FFFD stands for bytes
/// that are none), and controls escaped.
std::string json_text(std::string_view text);

/// A text as HTML shows it, also within an attribute in double quotes.
std::string html_text(std::string_view text);

}  // namespace mii
