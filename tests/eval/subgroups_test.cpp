#include "eval/subgroups.h"

#include <gmock/gmock.h>

#include "mii/error.h"

namespace mii {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string refusal(const std::string& text) {
  try {
    SubgroupColumn::parse(text);
  } catch (const Error& e) {
    return e.what();
  }
  return "accepted";
}

TEST(Subgroups, AreTheValuesOfAColumn) {
  const SubgroupColumn sex = SubgroupColumn::parse("sex");
  EXPECT_EQ(sex.column(), "sex");
  EXPECT_THAT(sex.names(std::vector<std::string>{"M", "", "F", "M"}), ElementsAre("F", "M", "(none)"));
  EXPECT_EQ(sex.of(""), "(none)");
}

TEST(Subgroups, AreBandsBetweenEdges) {
  const SubgroupColumn age = SubgroupColumn::parse("age:40,60.5");
  EXPECT_EQ(age.column(), "age");
  EXPECT_EQ(age.of("39.9"), "below 40");
  EXPECT_EQ(age.of("40"), "40 to below 60.5");
  EXPECT_EQ(age.of("60.5"), "from 60.5");
  EXPECT_EQ(age.of("old"), "(none)");
  // A band without images is named too, so that its absence is seen.
  EXPECT_THAT(age.names(std::vector<std::string>{"10", "10"}),
              ElementsAre("below 40", "40 to below 60.5", "from 60.5"));
}

TEST(Subgroups, WrongOnesAreRefused) {
  EXPECT_THAT(refusal(":1"), HasSubstr("names no column"));
  EXPECT_THAT(refusal("age:"), HasSubstr("expected numbers behind the colon, found ''"));
  EXPECT_THAT(refusal("age:40,x"), HasSubstr("found 'x'"));
  EXPECT_THAT(refusal("age:40,40"), HasSubstr("the edges do not rise at 40"));
  EXPECT_THAT(refusal("age:nan"), HasSubstr("found 'nan'"));
}

}  // namespace
}  // namespace mii
