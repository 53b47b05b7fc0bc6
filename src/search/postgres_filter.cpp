#include "search/postgres_filter.h"

#include <algorithm>

#include "core/number_text.h"
#include "mii/error.h"

namespace mii::search {
namespace {

using Kind = Filter::Kind;
using Relation = Filter::Relation;

const char* sign_of(Relation relation) {
  switch (relation) {
    case Relation::equal:
      return " = ";
    case Relation::not_equal:
      return " <> ";
    case Relation::less:
      return " < ";
    case Relation::at_most:
      return " <= ";
    case Relation::greater:
      return " > ";
    case Relation::at_least:
      return " >= ";
  }
  throw Error(ErrorCode::internal, "a relation of no kind");
}

// Texts are compared by their bytes.
std::string text_of(const std::string& column, Sql& sql) {
  if (column == "id") return "id COLLATE \"C\"";
  return std::string("(attributes ->> ").append(sql.value(column)).append("::text) COLLATE \"C\"");
}

std::string number_of_column(const std::string& column, Sql& sql) {
  return "(numbers ->> " + sql.value(column) + "::text)::float8";
}

std::string comparison(const Filter& filter, const Filter::Literal& literal, Relation relation, Sql& sql) {
  if (literal.number)
    return number_of_column(filter.column, sql) + sign_of(relation) +
           sql.value(number_text(*literal.number)) + "::float8";
  return text_of(filter.column, sql) + sign_of(relation) + sql.value(literal.text) + "::text";
}

// For PostgreSQL, a \ before the end is an error; for us it is meant itself.
std::string like_pattern(std::string pattern) {
  const size_t last = pattern.find_last_not_of('\\');
  const size_t slashes = pattern.size() - (last == std::string::npos ? 0 : last + 1);
  if (slashes % 2 == 1) pattern += '\\';
  return pattern;
}

std::string lowered(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

std::string joined(const std::vector<std::string>& conditions, const char* word, const char* none) {
  std::string text;
  for (const std::string& condition : conditions) text += (text.empty() ? "(" : word) + condition;
  return text.empty() ? none : text + ")";
}

std::string leaf(const Filter& filter, Sql& sql) {
  switch (filter.kind) {
    case Kind::compare:
      return comparison(filter, filter.literals.front(), filter.relation, sql);
    case Kind::one_of: {
      std::vector<std::string> conditions;
      for (const Filter::Literal& literal : filter.literals)
        conditions.push_back(comparison(filter, literal, Relation::equal, sql));
      return joined(conditions, " OR ", "false");
    }
    case Kind::like:
      return text_of(filter.column, sql) + " LIKE " + sql.value(like_pattern(filter.literals.front().text)) +
             "::text";
    case Kind::contains:
      return "strpos(lower(" + text_of(filter.column, sql) + "), " +
             sql.value(lowered(filter.literals.front().text)) + "::text) > 0";
    default:
      throw Error(ErrorCode::internal, "a filter that has children");
  }
}

}  // namespace

std::string condition_of(const Filter& filter, Sql& sql) {
  std::vector<std::string> children;
  for (const Filter& child : filter.children) children.push_back(condition_of(child, sql));
  switch (filter.kind) {
    case Kind::all_of:
      return joined(children, " AND ", "true");
    case Kind::any_of:
      return joined(children, " OR ", "false");
    case Kind::negation:
      return "NOT " + children.front();
    case Kind::is_null:
      return std::string("(").append(text_of(filter.column, sql)).append(" IS NULL)");
    default:
      return "coalesce(" + leaf(filter, sql) + ", false)";
  }
}

}  // namespace mii::search
