#include "search/filter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "mii/error.h"

namespace mii::search {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// A table of one row a value; nullptr: none.
class Table {
 public:
  Table(const std::string& name, const std::vector<const char*>& values) { add(name, values); }
  Table& add(const std::string& name, const std::vector<const char*>& values) {
    Column& column = columns_[name];
    for (const char* value : values) {
      if (value != nullptr) column.values.emplace_back(value);
      column.codes.push_back(value == nullptr ? 0 : static_cast<uint32_t>(column.values.size()));
    }
    rows_ = values.size();
    return *this;
  }
  std::vector<uint32_t> rows(const std::string& filter) const {
    std::vector<uint32_t> found;
    rows_that_meet(parse_filter(filter), rows_, [this](const std::string& name) -> const Column& {
      return columns_.at(name);
    }).append_rows(0, rows_, found);
    return found;
  }

 private:
  std::map<std::string, Column> columns_;
  size_t rows_ = 0;
};

std::string error_of(const std::string& filter) {
  try {
    parse_filter(filter);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
    return error.what();
  }
  return "no error";
}

TEST(Filter, ComparesNumbersAsNumbersAndTextsAsTexts) {
  const Table table("age", {"9", "40", "4e1", "100", "about 40", nullptr});
  EXPECT_THAT(table.rows("age < 40"), ElementsAre(0));
  EXPECT_THAT(table.rows("age = 40"), ElementsAre(1, 2));
  EXPECT_THAT(table.rows("age = '40'"), ElementsAre(1));
  EXPECT_THAT(table.rows("age >= 40"), ElementsAre(1, 2, 3));
  EXPECT_THAT(table.rows("age != 40"), ElementsAre(0, 3));
  EXPECT_THAT(table.rows("age < '4'"), ElementsAre(3));
  EXPECT_THAT(table.rows("age in (9, '100', -1)"), ElementsAre(0, 3));
  EXPECT_THAT(table.rows("age > -1e3"), ElementsAre(0, 1, 2, 3));
}

TEST(Filter, AnItemWithoutAValueMeetsOnlyIsNullAndNegations) {
  const Table table("site", {"A", nullptr, "B"});
  EXPECT_THAT(table.rows("site != 'A'"), ElementsAre(2));
  EXPECT_THAT(table.rows("not site = 'A'"), ElementsAre(1, 2));
  EXPECT_THAT(table.rows("site is null"), ElementsAre(1));
  EXPECT_THAT(table.rows("site is not null"), ElementsAre(0, 2));
  EXPECT_THAT(table.rows("site not in ('A')"), ElementsAre(1, 2));
}

TEST(Filter, AndBindsMoreThanOrAndParenthesesMost) {
  Table table("a", {"1", "1", "0", "0"});
  table.add("b", {"1", "0", "1", "0"});
  EXPECT_THAT(table.rows("a = 1 or a = 0 and b = 1"), ElementsAre(0, 1, 2));
  EXPECT_THAT(table.rows("(a = 1 or a = 0) and b = 1"), ElementsAre(0, 2));
  EXPECT_THAT(table.rows("NOT a = 1 AND b = 1"), ElementsAre(2));
  EXPECT_THAT(table.rows("not (a = 1 and b = 1)"), ElementsAre(1, 2, 3));
}

TEST(Filter, LikeTakesWildcardsAndContainsIgnoresCase) {
  const Table table("text", {"chest", "Chest X-ray", "50%", "50 mm", "äb", ""});
  EXPECT_THAT(table.rows("text like 'ch%'"), ElementsAre(0));
  EXPECT_THAT(table.rows("text like '%est%'"), ElementsAre(0, 1));
  EXPECT_THAT(table.rows("text like '50\\%'"), ElementsAre(2));
  EXPECT_THAT(table.rows("text like '50_'"), ElementsAre(2));
  EXPECT_THAT(table.rows("text like '_b'"), ElementsAre(4));
  EXPECT_THAT(table.rows("text like '%'"), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(table.rows("text contains 'CHEST'"), ElementsAre(0, 1));
}

TEST(Filter, LikeOfManyWildcardsEndsSoon) {
  std::string pattern;
  for (int i = 0; i < 200; ++i) pattern += "%a";
  const std::string value(20'000, 'a');
  const Filter filter = parse_filter("text like '" + pattern + "b'");
  EXPECT_FALSE(meets(filter, value));
}

TEST(Filter, NamesAndTextsMayHoldAnythingBetweenTheirQuotes) {
  Table table("a \"b\"; drop table items --", {"it's", "x"});
  table.add("größe", {"1", "2"});
  EXPECT_THAT(table.rows("\"a \"\"b\"\"; drop table items --\" = 'it''s'"), ElementsAre(0));
  EXPECT_THAT(table.rows("größe = 2"), ElementsAre(1));
}

TEST(Filter, AnErrorSaysWhereAndWhatWasExpected) {
  EXPECT_EQ(error_of("age <"),
            "filter, place 6: expected a number, or a text between single quotes, found the end");
  EXPECT_THAT(error_of(""), HasSubstr("place 1: expected a column, found the end"));
  EXPECT_THAT(error_of("age ~ 3"), HasSubstr("place 5: expected =, !="));
  EXPECT_THAT(error_of("(age = 3"), HasSubstr("place 9: expected ')', found the end"));
  EXPECT_THAT(error_of("age = 3 modality = 'CT'"), HasSubstr("place 9: expected and, or, or the end"));
  EXPECT_THAT(error_of("a = CT"), HasSubstr("place 5: expected a number, or a text"));
  EXPECT_THAT(error_of("a = 'CT"), HasSubstr("place 5: expected a closing '"));
  EXPECT_THAT(error_of("a in ()"), HasSubstr("place 7: expected a number"));
  EXPECT_THAT(error_of("a like 3"), HasSubstr("place 8: expected a text"));
  EXPECT_THAT(error_of("and = 3"), HasSubstr("place 1: expected a column"));
  EXPECT_THAT(error_of("a = 1e999"), HasSubstr("place 5: expected a number"));
  EXPECT_THAT(error_of("a = '\xff'"), HasSubstr("place 6: expected UTF-8"));
  EXPECT_THAT(error_of("a = 1; drop table items"), HasSubstr("place 6: expected and, or, or the end"));
}

TEST(Filter, NestingAndLengthAreBounded) {
  EXPECT_THAT(error_of(std::string(1000, '(') + "a = 1"), HasSubstr("levels"));
  std::string nots;
  for (int i = 0; i < 1000; ++i) nots += "not ";
  EXPECT_THAT(error_of(nots + "a = 1"), HasSubstr("levels"));
  EXPECT_THAT(error_of(std::string(70'000, ' ')), HasSubstr("at most 65536"));
}

TEST(Filter, ItsTextMeansTheSame) {
  for (const char* text : {"a = 1 or b = 'it''s' and not (\"c d\" in (1, 'x') or e is not null)",
                           "a like '%x\\%' and b contains 'y' and c != 2.5"}) {
    const Filter filter = parse_filter(text);
    const std::string again = to_text(filter);
    EXPECT_EQ(to_text(parse_filter(again)), again);
    EXPECT_EQ(columns_of(parse_filter(again)), columns_of(filter));
  }
}

}  // namespace
}  // namespace mii::search
