#include "core/base64.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mii/error.h"

namespace mii {
namespace {

std::string decoded(std::string_view text) {
  const auto bytes = decode_base64(text);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(Base64, ReadsWhatPythonWritesInEveryForm) {
  EXPECT_EQ(decoded("aGVsbG8gd29ybGQ="), "hello world");
  EXPECT_EQ(decoded("aGVsbG8gd29ybGQ"), "hello world") << "no padding";
  EXPECT_EQ(decoded("aGVs\nbG8g\r\nd29ybGQ=\n"), "hello world") << "encodebytes' line breaks";
  EXPECT_EQ(decoded("data:image/png;base64,aGVsbG8gd29ybGQ="), "hello world");
  EXPECT_EQ(decoded("aA=="), "h");
  EXPECT_EQ(decoded("aA"), "h");
  EXPECT_EQ(decoded(""), "");
}

TEST(Base64, RefusesWhatIsNotBase64AndSaysWhere) {
  for (const char* text : {"a", "aGVsb", "a=", "aA=", "aA=A", "=", "aGV*", "aGVsbG8-",
                           "data:image/png;base64", "data:,abc", "data:text/plain,abcd"})
    EXPECT_THROW(decode_base64(text), Error) << text;
  try {
    decode_base64("aGV*");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_image);
    EXPECT_THAT(error.what(), testing::HasSubstr("character 3"));
  }
}

TEST(Base64, EncodesEveryLength) {
  for (size_t n = 0; n < 20; ++n) {
    std::string bytes;
    for (size_t i = 0; i < n; ++i) bytes += static_cast<char>(i * 37 + 200);
    EXPECT_EQ(decoded(encode_base64(std::as_bytes(std::span(bytes)))), bytes);
  }
}

}  // namespace
}  // namespace mii
