// Python's JSON scanner (Modules/_json.c of 3.11), reduced to where it stops and what it reports.
#include <algorithm>
#include <cstring>

#include "serve/json.h"

namespace mii::serve {
namespace {

class Scanner {
 public:
  Scanner(std::string_view text, size_t max_depth) : text_(text), max_depth_(max_depth) {}

  JsonFault run() {
    size_t end = space(0);
    if (!value(end, end, 0)) return fault_;
    end = space(end);
    if (end != text_.size()) fail("Extra data", end);
    return fault_;
  }

 private:
  bool fail(const char* message, size_t at) {
    fault_.message = message;
    // Characters, not bytes: continuation bytes do not count.
    fault_.offset = static_cast<size_t>(
        std::count_if(text_.begin(), text_.begin() + static_cast<ptrdiff_t>(std::min(at, text_.size())),
                      [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
    return false;
  }
  char at(size_t i) const { return i < text_.size() ? text_[i] : '\0'; }
  bool has(size_t i) const { return i < text_.size(); }
  static bool digit(char c) { return c >= '0' && c <= '9'; }

  size_t space(size_t i) const {
    while (has(i) && std::strchr(" \t\n\r", text_[i]) != nullptr && text_[i] != '\0') ++i;
    return i;
  }

  // Each of these reads what starts at i and sets end just after it.
  bool value(size_t i, size_t& end, size_t depth) {
    if (!has(i)) return fail("Expecting value", i);
    if (depth > max_depth_) {
      end = text_.size();  // the other parser says so
      return true;
    }
    if (text_[i] == '"') return string(i, end);
    if (text_[i] == '{') return object(i + 1, end, depth + 1);
    if (text_[i] == '[') return array(i + 1, end, depth + 1);
    for (const std::string_view word : {"null", "true", "false", "NaN", "Infinity", "-Infinity"}) {
      if (text_.substr(i, word.size()) != word) continue;
      end = i + word.size();
      return true;
    }
    return number(i, end);
  }

  bool number(size_t i, size_t& end) {
    size_t p = i;
    if (at(p) == '-') ++p;
    if (at(p) >= '1' && at(p) <= '9')
      while (digit(at(p))) ++p;
    else if (at(p) == '0')
      ++p;
    else
      return fail("Expecting value", i);
    if (at(p) == '.' && digit(at(p + 1)))
      for (++p; digit(at(p));) ++p;
    if (at(p) == 'e' || at(p) == 'E') {
      size_t q = p + 1;
      if (at(q) == '+' || at(q) == '-') ++q;
      if (digit(at(q))) {
        while (digit(at(q))) ++q;
        p = q;
      }
    }
    end = p;
    return true;
  }

  bool string(size_t begin, size_t& end) {
    for (size_t i = begin + 1;; ++i) {
      if (!has(i)) return fail("Unterminated string starting at", begin);
      const auto c = static_cast<unsigned char>(text_[i]);
      if (c == '"') {
        end = i + 1;
        return true;
      }
      if (c <= 0x1f) return fail("Invalid control character at", i);
      if (c != '\\') continue;
      ++i;
      if (!has(i)) return fail("Unterminated string starting at", begin);
      if (text_[i] == 'u') {
        if (i + 5 >= text_.size()) return fail("Invalid \\uXXXX escape", i);
        for (size_t k = 1; k <= 4; ++k)
          if (!std::isxdigit(static_cast<unsigned char>(text_[i + k])))
            return fail("Invalid \\uXXXX escape", i);
        i += 4;
      } else if (std::strchr("\"\\/bfnrt", text_[i]) == nullptr || text_[i] == '\0') {
        return fail("Invalid \\escape", i - 1);
      }
    }
  }

  bool object(size_t i, size_t& end, size_t depth) {
    i = space(i);
    if (at(i) == '}' && has(i)) {
      end = i + 1;
      return true;
    }
    for (;;) {
      if (at(i) != '"') return fail("Expecting property name enclosed in double quotes", i);
      if (!string(i, i)) return false;
      i = space(i);
      if (at(i) != ':') return fail("Expecting ':' delimiter", i);
      i = space(i + 1);
      if (!value(i, i, depth)) return false;
      i = space(i);
      if (at(i) == '}') break;
      if (at(i) != ',') return fail("Expecting ',' delimiter", i);
      i = space(i + 1);
    }
    end = i + 1;
    return true;
  }

  bool array(size_t i, size_t& end, size_t depth) {
    i = space(i);
    if (at(i) == ']') {
      end = i + 1;
      return true;
    }
    for (;;) {
      if (!value(i, i, depth)) return false;
      i = space(i);
      if (at(i) == ']') break;
      if (at(i) != ',') return fail("Expecting ',' delimiter", i);
      i = space(i + 1);
    }
    end = i + 1;
    return true;
  }

  std::string_view text_;
  size_t max_depth_;
  JsonFault fault_;
};

}  // namespace

JsonFault find_json_fault(std::string_view text, size_t max_depth) { return Scanner(text, max_depth).run(); }

}  // namespace mii::serve
