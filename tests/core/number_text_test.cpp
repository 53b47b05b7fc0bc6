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

TEST(JsonText, IsValidUtf8WhateverTheTextHolds) {
  EXPECT_EQ(json_text("M\xFC"
                      "ller"),
            "\"M\xEF\xBF\xBDller\"");
  // Table 3-8 of Unicode 15: one replacement for each maximal subpart.
  EXPECT_EQ(json_text("\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64"),
            "\"a\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"
            "b\xEF\xBF\xBD"
            "c\xEF\xBF\xBD\xEF\xBF\xBD"
            "d\"");
}

TEST(JsonText, EscapesWhatATerminalWouldObey) {
  EXPECT_EQ(json_text("\x1b[31m\x7f"), R"("\u001b[31m\u007f")");
  EXPECT_EQ(json_text("\xC2\x9B\xE2\x80\xAE"), R"("\u009b\u202e")");
}

TEST(HtmlText, HoldsNoMarkOfHtml) {
  EXPECT_EQ(html_text("a <b class=\"c\"> & \xc3\xbc"), "a &lt;b class=&quot;c&quot;&gt; &amp; \xc3\xbc");
}

}  // namespace
}  // namespace mii
