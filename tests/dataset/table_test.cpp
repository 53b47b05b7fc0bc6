#include "dataset/table.h"

#include <gmock/gmock.h>

#include "core/file.h"
#include "mii/error.h"

namespace mii {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Table table(std::string_view text) { return Table::parse(text, "t.csv"); }

std::string refusal(std::string_view text) {
  try {
    table(text);
  } catch (const Error& e) {
    return e.what();
  }
  return "accepted";
}

// RFC 4180, section 2: rules 1 to 7.
TEST(Table, ReadsCommaSeparatedValuesAsRfc4180Says) {
  const Table t = table("path,note\r\na.png,\"one, two\"\r\nb.png,\"say \"\"no\"\"\r\nand stop\"\r\nc.png,");
  EXPECT_THAT(t.columns(), ElementsAre("path", "note"));
  ASSERT_EQ(t.rows(), 3u);
  EXPECT_EQ(t.at(0, "note"), "one, two");
  EXPECT_EQ(t.at(1, "note"), "say \"no\"\r\nand stop");
  EXPECT_EQ(t.at(2, "note"), "");
}

TEST(Table, TellsTabsFromCommasByTheHeader) {
  const Table t = table("path\tnote\na,b.png\tx, y\nc.png\t\"tab\there\"\n");
  ASSERT_EQ(t.rows(), 2u);
  EXPECT_EQ(t.at(0, "path"), "a,b.png");
  EXPECT_EQ(t.at(1, "note"), "tab\there");
}

TEST(Table, KeepsAQuoteInsideAPlainValue) { EXPECT_EQ(table("a,b\n5\" tube,2\n").at(0, "a"), "5\" tube"); }

TEST(Table, PassesOverEmptyLinesAndAByteOrderMark) {
  const Table t = table("\xEF\xBB\xBFpath,b\n\n\r\nx,1\n\n");
  EXPECT_TRUE(t.has("path"));
  EXPECT_EQ(t.rows(), 1u);
}

TEST(Table, RefusesDamageWithTheLineWhereTheRowBegins) {
  EXPECT_THAT(refusal("a,b\n\"1\n2\",3\n4\n"), HasSubstr("t.csv:4: has 1 values, expected 2"));
  EXPECT_THAT(refusal("a,b\n\"1,2\n3,4\n"), HasSubstr("t.csv:2: a quoted value has no closing quote"));
  EXPECT_THAT(refusal("a,b\n\"1\"x,2\n"), HasSubstr("t.csv:2: text after the closing quote"));
  EXPECT_THAT(refusal("a,a\n1,2\n"), HasSubstr("t.csv:1: a column is named twice"));
  EXPECT_THAT(refusal("a,b\n"), HasSubstr("has no rows"));
  EXPECT_THAT(refusal(""), HasSubstr("has no rows"));
}

}  // namespace
}  // namespace mii
