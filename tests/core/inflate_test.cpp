#include "core/inflate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <string>
#include <vector>

#include "mii/error.h"

namespace mii {
namespace {

using Format = Inflater::Format;

std::string deflated(Format format, std::string text) {
  z_stream stream{};
  const int window = format == Format::gzip ? MAX_WBITS + 16 : -MAX_WBITS;
  deflateInit2(&stream, 9, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(text.data());
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(out.size() - stream.avail_out);
  deflateEnd(&stream);
  return out;
}

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

struct Inflated {
  std::string text;
  bool complete;
};
Inflated inflated(Format format, const std::string& stream, size_t most = 100) {
  Inflater inflater(format, bytes_of(stream), "the data");
  const InflatedBytes out = inflate_up_to(inflater, most);
  return {std::string(reinterpret_cast<const char*>(out.bytes.get()), out.size), inflater.complete()};
}

TEST(Inflater, ReadsBothFormatsAndIgnoresWhatFollows) {
  for (const Format format : {Format::raw, Format::gzip}) {
    const Inflated read = inflated(format, deflated(format, "some text") + "tail");
    EXPECT_EQ(read.text, "some text");
    EXPECT_TRUE(read.complete);
  }
}

TEST(Inflater, ReadsOneGzipMemberAfterAnother) {
  const std::string two = deflated(Format::gzip, "one") + deflated(Format::gzip, "two");
  EXPECT_EQ(inflated(Format::gzip, two).text, "onetwo");
}

TEST(Inflater, DataThatEndEarlyAreNotComplete) {
  for (const Format format : {Format::raw, Format::gzip}) {
    std::string stream = deflated(format, "some text");
    stream.pop_back();
    EXPECT_FALSE(inflated(format, stream).complete);
    EXPECT_FALSE(inflated(format, "").complete);
  }
}

TEST(Inflater, StopsWhereItIsToldTo) {
  const std::string stream = deflated(Format::raw, std::string(5 << 20, 'a'));
  for (const size_t most : {size_t{0}, size_t{1}, size_t{3} << 20, size_t{5} << 20, size_t{9} << 20})
    EXPECT_EQ(inflated(Format::raw, stream, most).text, std::string(std::min(most, size_t{5} << 20), 'a'));
}

TEST(Inflater, SkipsAndReadsOn) {
  const std::string stream = deflated(Format::raw, std::string(20000, 'a') + "bc");
  Inflater inflater(Format::raw, bytes_of(stream), "the data");
  EXPECT_EQ(inflater.skip(20000), 20000u);
  std::vector<std::byte> out(1);
  EXPECT_EQ(inflater.read(out), 1u);
  EXPECT_EQ(out[0], std::byte{'b'});
  EXPECT_EQ(inflater.skip(5), 1u);
}

TEST(Inflater, RefusesDamageAndSaysOfWhat) {
  std::string gzip = deflated(Format::gzip, "some text");
  gzip[gzip.size() - 5] ^= 1;  // of the checksum
  for (const auto& [format, stream] :
       {std::pair(Format::gzip, gzip), {Format::raw, std::string(9, '\xFF')}}) {
    try {
      inflated(format, stream);
      ADD_FAILURE() << "it was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::invalid_image);
      EXPECT_THAT(error.what(), testing::HasSubstr("the data are damaged: "));
    }
  }
}

}  // namespace
}  // namespace mii
