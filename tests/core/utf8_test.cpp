#include "core/utf8.h"

#include <gtest/gtest.h>

namespace mii {
namespace {

using namespace std::literals;

// The limits of each row of table 3-7 of Unicode 15, and the sequences just outside.
TEST(Utf8, IsWhatUnicodeSaysItIs) {
  for (const auto valid :
       {"\x00"sv, "\x7F"sv, "\xC2\x80"sv, "\xDF\xBF"sv, "\xE0\xA0\x80"sv, "\xED\x9F\xBF"sv, "\xEE\x80\x80"sv,
        "\xEF\xBF\xBF"sv, "\xF0\x90\x80\x80"sv, "\xF4\x8F\xBF\xBF"sv, ""sv})
    EXPECT_EQ(find_invalid_utf8(valid), std::string_view::npos) << printable(valid);
  for (const auto invalid :
       {"\x80"sv, "\xC1\xBF"sv, "\xC2"sv, "\xC2\x7F"sv, "\xE0\x9F\xBF"sv, "\xED\xA0\x80"sv, "\xE1\x80"sv,
        "\xF0\x8F\xBF\xBF"sv, "\xF4\x90\x80\x80"sv, "\xF5\x80\x80\x80"sv, "\xFF"sv, "\xF1\x80\x80"sv})
    EXPECT_EQ(find_invalid_utf8("ab" + std::string(invalid)), 2u) << printable(invalid);
}

TEST(Utf8, CharactersAreDecoded) {
  EXPECT_EQ(utf8_start("\xE2\x82\xAC").character, U'\u20AC');
  EXPECT_EQ(utf8_start("\xF0\x9F\xA9\xBB!").character, U'\U0001FA7B');
  EXPECT_EQ(utf8_start("\xF0\x9F\xA9\xBB!").bytes, 4u);
}

TEST(Utf8, CharactersAreEncoded) {
  std::string text;
  for (const char32_t c :
       {U'\0', U'\x7F', U'\x80', U'\u07FF', U'\u0800', U'\uFFFF', U'\U00010000', U'\U0010FFFF'})
    append_utf8(text, c);
  EXPECT_EQ(text, "\x00\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF\xF0\x90\x80\x80\xF4\x8F\xBF\xBF"sv);
}

TEST(Printable, NothingReachesATerminalThatItWouldObey) {
  EXPECT_EQ(printable("a\x1b[2Jb\a\n\t\r\x7f"), R"(a\x1b[2Jb\x07\n\t\r\x7f)");
  EXPECT_EQ(printable("\xC2\x9B"), R"(\u009b)");  // CSI in one character
  EXPECT_EQ(printable("\x9B"), R"(\x9b)");        // and as a bare byte
  EXPECT_EQ(printable("\xE2\x80\xAE"
                      "gnp.exe\xE2\x81\xA9"),
            R"(\u202egnp.exe\u2069)");
  EXPECT_EQ(printable("M\xC3\xBCller \xE8\x82\xBA \\ 100 %"), "M\xC3\xBCller \xE8\x82\xBA \\ 100 %");
}

TEST(Printable, TwiceIsOnce) {
  const std::string once = printable("\x1b]0;title\a \xFF");
  EXPECT_EQ(printable(once), once);
}

TEST(Printable, LinesKeepTheirBreaks) { EXPECT_EQ(printable_lines("a\x1b\nb\r\n"), "a\\x1b\nb\\r\n"); }

}  // namespace
}  // namespace mii
