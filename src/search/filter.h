#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "search/bitmap.h"

namespace mii::search {

/// A condition on an item's columns, as a tree: the folder evaluates it, a database makes SQL of it (values
/// as parameters, never in the text).
///
/// A column has one value, a text. Compared with a number (age < 40), values that are numbers count, and no
/// others; compared with a text (modality = 'CT'), values are texts in the order of their bytes. An item
/// without a value in the column meets none of these conditions, != included; `is null` is for those.
struct Filter {
  enum class Kind {
    all_of,    ///< every child; a and b
    any_of,    ///< at least one child; a or b
    negation,  ///< not its child
    compare,   ///< column relation literals[0]
    one_of,    ///< column in (literals)
    like,      ///< column like literals[0]: % any text, _ any character, \ before one that is meant itself
    contains,  ///< literals[0] occurs in the value; a to z and A to Z are the same
    is_null,   ///< there is no value
  };
  enum class Relation { equal, not_equal, less, at_most, greater, at_least };
  struct Literal {
    std::string text;
    std::optional<double> number;  ///< of one that was written as a number
    bool operator==(const Literal&) const = default;
  };

  Kind kind = Kind::all_of;
  std::vector<Filter> children;
  std::string column;
  Relation relation = Relation::equal;
  std::vector<Literal> literals;

  bool operator==(const Filter&) const = default;
};

/// Parses
///     modality = 'Ultrasound' and (age < 40 or not site in ('A', 'B')) and "body part" like 'ch%'
/// Words of the language in any case; columns as letters, digits and _, or anything between double quotes;
/// texts between single quotes; a quote in either is doubled. Throws Error{invalid_argument} with the place,
/// counted from 1, of what was not expected.
Filter parse_filter(std::string_view text);

/// The same as text that parse_filter takes.
std::string to_text(const Filter& filter);

/// Conditions that must all hold.
Filter all_of(std::vector<Filter> filters);
/// column = value, a text.
Filter equals(std::string column, std::string value);
Filter negation(Filter filter);

/// Whether one value meets a condition that has no children; nullopt: there is none.
bool meets(const Filter& condition, std::optional<std::string_view> value);

/// The columns that are asked for.
std::set<std::string> columns_of(const Filter& filter);

/// A column of a table: the value of row r is values[codes[r] - 1], none where the code is 0.
struct Column {
  std::vector<uint32_t> codes;
  std::vector<std::string> values;

  std::optional<std::string_view> at(size_t row) const {
    if (codes[row] == 0) return std::nullopt;
    return values[codes[row] - 1];
  }
};

/// The rows of a table that meet the filter. column(name) gives a column of at least `rows` rows.
Bitmap rows_that_meet(const Filter& filter, size_t rows,
                      const std::function<const Column&(const std::string&)>& column);

/// The whole of a text as a finite number, if it is one.
std::optional<double> number_of(std::string_view text);

}  // namespace mii::search
