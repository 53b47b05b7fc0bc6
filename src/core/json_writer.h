#pragma once

#include <concepts>
#include <cstddef>
#include <ranges>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mii {

/// JSON that is ready: it is written as it is.
struct RawJson {
  std::string_view text;
};

/// Writes one JSON text from its beginning to its end; commas, quotes and nesting are its business.
/// A call that does not fit (a value without a key in an object, a second top-level value, an end without a
/// beginning) throws Error{internal}.
class JsonWriter {
 public:
  enum class Style {
    compact,  ///< {"a":1,"b":[2,3]}
    spaced    ///< {"a": 1, "b": [2, 3]}
  };
  explicit JsonWriter(Style style) : style_(style) {}

  JsonWriter& begin_object() { return begin('{'); }
  JsonWriter& end_object() { return end('{', '}'); }
  JsonWriter& begin_array() { return begin('['); }
  JsonWriter& end_array() { return end('[', ']'); }

  /// In an object: what the next value is called.
  JsonWriter& key(std::string_view name);

  JsonWriter& value(RawJson json);
  JsonWriter& value(std::string_view text);
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(std::nullptr_t) { return value(RawJson{"null"}); }
  /// As number_text writes it; null where it is not finite.
  JsonWriter& value(double number);
  JsonWriter& value(bool truth) { return value(RawJson{truth ? "true" : "false"}); }
  JsonWriter& value(std::integral auto number) { return value(RawJson{std::to_string(number)}); }
  /// An array of values.
  template <std::ranges::input_range Range>
  requires(!std::convertible_to<Range, std::string_view>) JsonWriter& value(const Range& values) {
    begin_array();
    for (const auto& element : values) value(element);
    return end_array();
  }

  template <typename Value>
  JsonWriter& member(std::string_view name, const Value& named) {
    return key(name).value(named);
  }

  /// What has been written and not taken yet, so that a long text need not be in memory as a whole.
  std::string take() { return std::exchange(text_, {}); }
  size_t bytes() const { return text_.size(); }  ///< of what take() would give

  /// The whole text, or what of it was not taken yet. Throws Error{internal} where something is missing.
  std::string finish();

 private:
  JsonWriter& begin(char bracket);
  JsonWriter& end(char begun_with, char bracket);
  void start_value();
  void separate();

  Style style_;
  std::string text_;
  std::vector<char> open_;  // brackets that wait for their ends, the innermost last
  bool begun_ = false;
  bool first_ = true;       // of what stands behind the innermost bracket
  bool key_waits_ = false;  // for its value
};

}  // namespace mii
