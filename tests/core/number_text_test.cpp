#include "core/number_text.h"

#include <gtest/gtest.h>

#include <limits>

namespace mii {
namespace {

// What Python 3's repr prints.
TEST(NumberText, IsPythonsRepr) {
  EXPECT_EQ(number_text(1), "1.0");
  EXPECT_EQ(number_text(-0.0), "-0.0");
  EXPECT_EQ(number_text(0.1), "0.1");
  EXPECT_EQ(number_text(0.1f), "0.10000000149011612");
  EXPECT_EQ(number_text(0.0001), "0.0001");
  EXPECT_EQ(number_text(0.00001), "1e-05");
  EXPECT_EQ(number_text(1.5e-7), "1.5e-07");
  EXPECT_EQ(number_text(1e15), "1000000000000000.0");
  EXPECT_EQ(number_text(1e16), "1e+16");
  EXPECT_EQ(number_text(1e300), "1e+300");
  EXPECT_EQ(number_text(std::numeric_limits<double>::quiet_NaN()), "nan");
  EXPECT_EQ(number_text(-std::numeric_limits<double>::infinity()), "-inf");
}

TEST(JsonText, EscapesWhatJsonMustHaveEscaped) {
  EXPECT_EQ(json_text("a\"b\\c"), R"("a\"b\\c")");
  EXPECT_EQ(json_text("\n\r\t\x01"), R"("\n\r\t\u0001")");
  EXPECT_EQ(json_text("\xC3\xA9"), "\"\xC3\xA9\"");
}

}  // namespace
}  // namespace mii
