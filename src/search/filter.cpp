#include "search/filter.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "core/number_text.h"
#include "core/utf8.h"
#include "mii/error.h"

namespace mii::search {
namespace {

using Kind = Filter::Kind;
using Relation = Filter::Relation;

constexpr size_t kMaxText = 1 << 16;
constexpr size_t kMaxDepth = 100;
constexpr std::array<std::pair<std::string_view, Relation>, 6> kRelations{{
    {"!=", Relation::not_equal},  // those of two characters first
    {"<=", Relation::at_most},
    {">=", Relation::at_least},
    {"=", Relation::equal},
    {"<", Relation::less},
    {">", Relation::greater},
}};

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool is_name_start(char c) {
  return (lower(c) >= 'a' && lower(c) <= 'z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}
bool is_name_part(char c) { return is_name_start(c) || is_digit(c); }

std::string lowered(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), lower);
  return result;
}

constexpr std::array<std::string_view, 8> kWords{"and", "or", "not", "in", "like", "contains", "is", "null"};
bool is_word(std::string_view name) { return std::ranges::find(kWords, lowered(name)) != kWords.end(); }

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {
    if (text.size() > kMaxText)
      throw Error(ErrorCode::invalid_argument, "filter: has " + std::to_string(text.size()) +
                                                   " bytes, at most " + std::to_string(kMaxText) +
                                                   " are taken");
    if (const size_t bad = find_invalid_utf8(text); bad != std::string_view::npos) {
      place_ = bad;
      fail("UTF-8");
    }
  }

  Filter parse() {
    Filter filter = any();
    if (skip_spaces(); place_ < text_.size()) fail("and, or, or the end");
    return filter;
  }

 private:
  // any: all [or all]...
  Filter any() {
    const Deeper deeper(*this);
    return chain(Kind::any_of, "or", [this] { return all(); });
  }
  // all: one [and one]...
  Filter all() {
    return chain(Kind::all_of, "and", [this] { return one(); });
  }

  template <typename Part>
  Filter chain(Kind kind, std::string_view word, const Part& part) {
    Filter first = part();
    if (!take_word(word)) return first;
    Filter filter{.kind = kind};
    filter.children.push_back(std::move(first));
    do filter.children.push_back(part());
    while (take_word(word));
    return filter;
  }

  Filter one() {
    const Deeper deeper(*this);
    if (take_word("not")) return negation(one());
    if (!take("(")) return condition();
    Filter inside = any();
    if (!take(")")) fail("')'");
    return inside;
  }

  Filter condition() {
    Filter filter{.kind = Kind::compare, .column = column()};
    if (take_word("is")) {
      const bool negated = take_word("not");
      if (!take_word("null")) fail("null");
      filter.kind = Kind::is_null;
      return negated ? negation(std::move(filter)) : filter;
    }
    const bool negated = take_word("not");
    if (take_word("in")) {
      filter.kind = Kind::one_of;
      filter.literals = list();
    } else if (take_word("like")) {
      filter.kind = Kind::like;
      filter.literals = {text_literal()};
    } else if (take_word("contains")) {
      filter.kind = Kind::contains;
      filter.literals = {text_literal()};
    } else if (!negated) {
      filter.relation = relation();
      filter.literals = {literal()};
    } else {
      fail("in, like or contains");
    }
    return negated ? negation(std::move(filter)) : filter;
  }

  Relation relation() {
    for (const auto& [sign, relation] : kRelations)
      if (take(sign)) return relation;
    fail("=, !=, <, <=, >, >=, in, like, contains or is null");
  }

  std::vector<Filter::Literal> list() {
    if (!take("(")) fail("'('");
    std::vector<Filter::Literal> literals;
    do literals.push_back(literal());
    while (take(","));
    if (!take(")")) fail("',' or ')'");
    return literals;
  }

  std::string column() {
    skip_spaces();
    if (place_ < text_.size() && text_[place_] == '"') {
      std::string name = quoted('"');
      if (name.empty()) fail("a column before this");
      return name;
    }
    const size_t begin = place_;
    if (place_ < text_.size() && is_name_start(text_[place_]))
      while (place_ < text_.size() && is_name_part(text_[place_])) ++place_;
    const std::string_view name = text_.substr(begin, place_ - begin);
    if (name.empty() || is_word(name)) {
      place_ = begin;
      fail("a column");
    }
    return std::string(name);
  }

  Filter::Literal text_literal() {
    skip_spaces();
    if (place_ == text_.size() || text_[place_] != '\'') fail("a text between single quotes");
    return {quoted('\''), std::nullopt};
  }

  Filter::Literal literal() {
    skip_spaces();
    if (place_ < text_.size() && text_[place_] == '\'') return text_literal();
    const size_t begin = place_;
    while (place_ < text_.size() && (is_name_part(text_[place_]) ||
                                     std::string_view("+-.").find(text_[place_]) != std::string_view::npos))
      ++place_;
    const std::string_view written = text_.substr(begin, place_ - begin);
    if (const auto number = number_of(written)) return {std::string(written), number};
    place_ = begin;
    fail("a number, or a text between single quotes");
  }

  // Between two quotes of this kind; a doubled one is meant itself.
  std::string quoted(char quote) {
    const size_t begin = place_++;
    std::string value;
    for (; place_ < text_.size(); ++place_) {
      if (text_[place_] == quote) {
        if (++place_ == text_.size() || text_[place_] != quote) return value;
      }
      value += text_[place_];
    }
    place_ = begin;
    fail(std::string("a closing ") + quote + " behind this");
  }

  bool take_word(std::string_view word) {
    skip_spaces();
    const std::string_view rest = text_.substr(place_);
    if (lowered(rest.substr(0, word.size())) != word) return false;
    if (rest.size() > word.size() && is_name_part(rest[word.size()])) return false;
    place_ += word.size();
    return true;
  }

  bool take(std::string_view sign) {
    skip_spaces();
    if (!text_.substr(place_).starts_with(sign)) return false;
    place_ += sign.size();
    return true;
  }

  void skip_spaces() {
    while (place_ < text_.size() && is_space(text_[place_])) ++place_;
  }

  [[noreturn]] void fail(const std::string& expected) {
    skip_spaces();
    constexpr size_t kShown = 20;
    std::string found =
        place_ < text_.size() ? "'" + std::string(text_.substr(place_, kShown)) + "'" : "the end";
    throw Error(ErrorCode::invalid_argument, "filter, place " + std::to_string(place_ + 1) + ": expected " +
                                                 expected + ", found " + found);
  }

  // A bound on the recursion.
  struct Deeper {
    explicit Deeper(Parser& parser) : parser_(parser) {
      if (++parser_.depth_ > kMaxDepth) parser_.fail("at most " + std::to_string(kMaxDepth) + " levels");
    }
    ~Deeper() { --parser_.depth_; }
    Deeper(const Deeper&) = delete;
    Deeper& operator=(const Deeper&) = delete;
    Parser& parser_;
  };

  std::string_view text_;
  size_t place_ = 0;
  size_t depth_ = 0;
};

template <typename T>
bool holds(Relation relation, const T& value, const T& literal) {
  switch (relation) {
    case Relation::equal:
      return value == literal;
    case Relation::not_equal:
      return value != literal;
    case Relation::less:
      return value < literal;
    case Relation::at_most:
      return value <= literal;
    case Relation::greater:
      return value > literal;
    case Relation::at_least:
      return value >= literal;
  }
  return false;
}

bool compares(Relation relation, std::string_view value, const Filter::Literal& literal) {
  if (!literal.number) return holds(relation, value, std::string_view(literal.text));
  const std::optional<double> number = number_of(value);
  return number && holds(relation, *number, *literal.number);
}

/// One piece of a pattern: a character that is meant itself, or a wildcard.
struct Piece {
  enum class Kind { character, any_character, any_text } kind;
  std::string_view character;
};

std::string_view take_character(std::string_view& text) {
  const std::string_view character = text.substr(0, utf8_start(text).bytes);
  text.remove_prefix(character.size());
  return character;
}

std::vector<Piece> pieces_of(std::string_view pattern) {
  std::vector<Piece> pieces;
  while (!pattern.empty()) {
    std::string_view character = take_character(pattern);
    if (character == "%") {
      pieces.push_back({Piece::Kind::any_text, {}});
    } else if (character == "_") {
      pieces.push_back({Piece::Kind::any_character, {}});
    } else {
      if (character == "\\" && !pattern.empty()) character = take_character(pattern);
      pieces.push_back({Piece::Kind::character, character});
    }
  }
  return pieces;
}

// The last % takes one character more whenever what follows it does not fit: time is the product of the
// lengths at most.
bool is_like(std::string_view value, std::string_view pattern) {
  const std::vector<Piece> pieces = pieces_of(pattern);
  size_t piece = 0;
  std::optional<size_t> after_any_text;
  std::string_view retry;
  while (!value.empty()) {
    if (piece < pieces.size() && pieces[piece].kind == Piece::Kind::any_text) {
      after_any_text = ++piece;
      retry = value;
      continue;
    }
    std::string_view rest = value;
    const std::string_view character = take_character(rest);
    if (piece < pieces.size() &&
        (pieces[piece].kind == Piece::Kind::any_character || pieces[piece].character == character)) {
      ++piece;
      value = rest;
      continue;
    }
    if (!after_any_text) return false;
    piece = *after_any_text;
    take_character(retry);
    value = retry;
  }
  while (piece < pieces.size() && pieces[piece].kind == Piece::Kind::any_text) ++piece;
  return piece == pieces.size();
}

std::string quoted(std::string_view text, char quote) {
  std::string result(1, quote);
  for (const char c : text) {
    result += c;
    if (c == quote) result += c;
  }
  return result + quote;
}

std::string to_text(const Filter::Literal& literal) {
  return literal.number ? number_text(*literal.number) : quoted(literal.text, '\'');
}

std::string joined(const Filter& filter, const char* word) {
  std::string text;
  for (const Filter& child : filter.children)
    text += (text.empty() ? "(" : std::string(" ") + word + " (") + to_text(child) + ")";
  return text;
}

}  // namespace

std::optional<double> number_of(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(number)) return std::nullopt;
  return number;
}

Filter parse_filter(std::string_view text) { return Parser(text).parse(); }

std::string to_text(const Filter& filter) {
  const std::string column = quoted(filter.column, '"');
  switch (filter.kind) {
    case Kind::all_of:
      return joined(filter, "and");
    case Kind::any_of:
      return joined(filter, "or");
    case Kind::negation:
      return "not (" + to_text(filter.children.front()) + ")";
    case Kind::is_null:
      return column + " is null";
    case Kind::like:
      return column + " like " + to_text(filter.literals.front());
    case Kind::contains:
      return column + " contains " + to_text(filter.literals.front());
    case Kind::one_of: {
      std::string list;
      for (const Filter::Literal& literal : filter.literals)
        list += (list.empty() ? "" : ", ") + to_text(literal);
      return column + " in (" + list + ")";
    }
    case Kind::compare:
      for (const auto& [sign, relation] : kRelations)
        if (relation == filter.relation)
          return column + " " + std::string(sign) + " " + to_text(filter.literals.front());
  }
  throw Error(ErrorCode::internal, "a filter of no kind");
}

Filter all_of(std::vector<Filter> filters) { return {.kind = Kind::all_of, .children = std::move(filters)}; }

Filter equals(std::string column, std::string value) {
  return {.kind = Kind::compare, .column = std::move(column), .literals = {{std::move(value), std::nullopt}}};
}

Filter negation(Filter filter) {
  Filter result{.kind = Kind::negation};
  result.children.push_back(std::move(filter));
  return result;
}

bool meets(const Filter& condition, std::optional<std::string_view> value) {
  if (condition.kind == Kind::is_null) return !value;
  if (!value) return false;
  const Filter::Literal& first = condition.literals.front();
  switch (condition.kind) {
    case Kind::compare:
      return compares(condition.relation, *value, first);
    case Kind::one_of:
      return std::ranges::any_of(condition.literals, [&](const Filter::Literal& literal) {
        return compares(Relation::equal, *value, literal);
      });
    case Kind::like:
      return is_like(*value, first.text);
    case Kind::contains:
      return lowered(*value).find(lowered(first.text)) != std::string::npos;
    default:
      throw Error(ErrorCode::internal, "a filter that has children");
  }
}

std::set<std::string> columns_of(const Filter& filter) {
  std::set<std::string> columns;
  if (!filter.column.empty()) columns.insert(filter.column);
  for (const Filter& child : filter.children) columns.merge(columns_of(child));
  return columns;
}

Bitmap rows_that_meet(const Filter& filter, size_t rows,
                      const std::function<const Column&(const std::string&)>& column) {
  if (filter.kind == Kind::negation) {
    Bitmap result = rows_that_meet(filter.children.front(), rows, column);
    result.flip();
    return result;
  }
  if (filter.kind == Kind::all_of || filter.kind == Kind::any_of) {
    Bitmap result(rows, filter.kind == Kind::all_of);
    for (const Filter& child : filter.children)
      filter.kind == Kind::all_of ? result &= rows_that_meet(child, rows, column)
                                  : result |= rows_that_meet(child, rows, column);
    return result;
  }
  // Each value that occurs is looked at once.
  const Column& asked = column(filter.column);
  std::vector<char> verdicts{meets(filter, std::nullopt)};
  for (const std::string& value : asked.values) verdicts.push_back(meets(filter, value));
  Bitmap result(rows);
  for (size_t row = 0; row < rows; ++row)
    if (verdicts[asked.codes[row]] != 0) result.set(row);
  return result;
}

}  // namespace mii::search
