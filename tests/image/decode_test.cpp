// What the decoders do with images that are built here byte by byte, and with input that is no image.

#include <array>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "mii/error.h"
#include "mii/image.h"

#include "core/file.h"
#include "image/error_of.h"

namespace mii {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

using Data = std::vector<std::byte>;

const fs::path kImages = fs::path(MII_TEST_DATA) / "golden" / "synthetic";

Data data_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text.data(), text.size()));
  return {bytes.begin(), bytes.end()};
}

Data picture(const std::string& name) { return read_file(kImages / name, 1 << 24); }

std::string le16(uint32_t v) { return {static_cast<char>(v), static_cast<char>(v >> 8)}; }
std::string le32(uint32_t v) { return le16(v) + le16(v >> 16); }
std::string be16(uint32_t v) { return {static_cast<char>(v >> 8), static_cast<char>(v)}; }
std::string be32(uint32_t v) { return be16(v >> 16) + be16(v); }

long peak_memory_kib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

// Refused at once: in less than a second of processor time and without 64 MiB of memory.
std::string refusal(const Data& data, const DecodeOptions& options = {}) {
  const long before = peak_memory_kib();
  const std::clock_t start = std::clock();
  std::string error = error_of(data, options);
  EXPECT_LT(std::clock() - start, CLOCKS_PER_SEC);
  EXPECT_LT(peak_memory_kib() - before, 64 * 1024);
  return error;
}

TEST(Decode, SaysWhatTheBytesSeemToBe) {
  EXPECT_THAT(error_of({}), HasSubstr("nothing: 0 bytes"));
  EXPECT_THAT(error_of(data_of("hello")), HasSubstr("5 bytes of no known format"));
  EXPECT_THAT(error_of(data_of("GIF89a....")), HasSubstr("a GIF image"));
  EXPECT_THAT(error_of(data_of("%PDF-1.7")), HasSubstr("a PDF document"));
  EXPECT_THAT(error_of(data_of("<!DOCTYPE html>")), HasSubstr("an HTML page"));
  EXPECT_THAT(error_of(data_of(std::string(128, '\0') + "DICM")),
              HasSubstr("invalid_image: DICOM: no attributes of an image"));
  EXPECT_THAT(error_of(data_of(std::string(3, '\0') + " ftypheic")), HasSubstr("a HEIC image"));
  EXPECT_THAT(error_of(data_of("GIF89a....")),
              HasSubstr("invalid_image: expected a JPEG, PNG, TIFF, WebP, BMP, PNM, DICOM or NIfTI image"));
}

TEST(Decode, ReadNamesTheFile) {
  const fs::path path = fs::path(testing::TempDir()) / "not-an-image.png";
  std::ofstream(path) << "hello";
  try {
    Image::read(path);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_image);
    EXPECT_THAT(error.what(), HasSubstr(path.string()));
  }
  fs::remove(path);
  try {
    Image::read(path);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::io);
  }
}

TEST(Decode, NameDoesNotMatter) {
  const fs::path path = fs::path(testing::TempDir()) / "really-a-jpeg.png";
  fs::copy_file(kImages / "baseline.jpg", path, fs::copy_options::overwrite_existing);
  EXPECT_EQ(Image::read(path).width(), 200u);
  fs::remove(path);
}

TEST(Decode, FileLimitIsKept) {
  const DecodeOptions options{.limits = {.max_file_bytes = 1000}};
  EXPECT_THAT(error_of(picture("rgb.png"), options), HasSubstr("image_too_large"));
  EXPECT_THROW(Image::read(kImages / "rgb.png", options), Error);
}

TEST(Decode, PixelLimitIsKeptByEveryFormat) {
  const DecodeOptions options{.limits = {.max_pixels = 200 * 137 - 1}};
  for (const char* name : {"baseline.jpg", "progressive.jpg", "cmyk.jpg", "rgb.png", "lossless.webp",
                           "lzw.tiff", "rgb.bmp", "rgb.ppm"}) {
    EXPECT_THAT(refusal(picture(name), options), HasSubstr("image_too_large: the image has 200 x 137 pixels"))
        << name;
    EXPECT_EQ(error_of(picture(name), {.limits = {.max_pixels = 200 * 137}}), "no error") << name;
  }
}

TEST(Decode, TruncatedImagesAreRefused) {
  for (const auto& entry : fs::directory_iterator(kImages)) {
    const Data whole = read_file(entry.path(), 1 << 24);
    for (size_t step = 0; step < 60; ++step) {
      const size_t size = step < 30 ? step : whole.size() * (step - 30) / 30;
      const Data part(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size));
      EXPECT_THAT(error_of(part), HasSubstr("invalid_image"))
          << entry.path().filename() << " cut to " << size;
    }
    const Data almost(whole.begin(), whole.end() - 3);
    EXPECT_THAT(error_of(almost), HasSubstr("invalid_image"))
        << entry.path().filename() << " without its last 3 bytes";
  }
}

TEST(Decode, MislabelledBytesAreRefused) {
  // Each signature in front of another format's body.
  const Data body = picture("rgb.bmp");
  const std::string signatures[] = {"\xFF\xD8\xFF", "\x89PNG\r\n\x1A\n", std::string("II*\0", 4),
                                    std::string("RIFF\0\0\0\0WEBP", 12), "P6\n"};
  for (const std::string& signature : signatures) {
    Data data = body;
    std::memcpy(data.data(), signature.data(), signature.size());
    EXPECT_THAT(refusal(data), HasSubstr("invalid_image"));
  }
}

TEST(Decode, DamagedImagesThrowOrDecodeButNeverCrash) {
  std::mt19937 random(1);
  for (const auto& entry : fs::directory_iterator(kImages)) {
    const Data whole = read_file(entry.path(), 1 << 24);
    for (int round = 0; round < 40; ++round) {
      Data data = whole;
      for (int i = 0; i < 4; ++i)
        data[random() % std::min<size_t>(data.size(), round < 20 ? 256 : data.size())] = std::byte(random());
      error_of(data, {.limits = {.max_pixels = 1'000'000}});
    }
  }
}

TEST(Decode, RandomBytesBehindASignatureAreRefused) {
  std::mt19937 random(2);
  const std::string signatures[] = {"\xFF\xD8\xFF",
                                    "\x89PNG\r\n\x1A\n",
                                    std::string("II*\0", 4),
                                    std::string("MM\0*", 4),
                                    std::string("RIFF\0\0\0\0WEBP", 12),
                                    "BM",
                                    "P1 ",
                                    "P6 "};
  for (const std::string& signature : signatures) {
    for (int round = 0; round < 50; ++round) {
      std::string noise = signature;
      for (int i = 0; i < 300; ++i) noise += static_cast<char>(random());
      EXPECT_THAT(refusal(data_of(noise)), HasSubstr("i"));
    }
  }
}

uint32_t crc32_of(std::string_view text) {
  uint32_t crc = ~0u;
  for (const char c : text) {
    crc ^= static_cast<uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xEDB88320 : 0);
  }
  return ~crc;
}

std::string png_chunk(const std::string& name, const std::string& data) {
  return be32(static_cast<uint32_t>(data.size())) + name + data + be32(crc32_of(name + data));
}

std::string png_start(uint32_t width, uint32_t height, char depth, char colour) {
  const std::string header = be32(width) + be32(height) + depth + colour + std::string(3, '\0');
  return "\x89PNG\r\n\x1A\n" + png_chunk("IHDR", header);
}

// A zlib stream of zeros: blocks that repeat one byte 258 at a time, about a thousandth of what they unpack
// to.
std::string zeros_deflated(size_t blocks) {
  std::string out = "\x78\x9C";
  // A fixed-Huffman block, hand-packed: literal 0, then runs of 258 at distance 1, never ended.
  std::string bits =
      "010"
      "00110000";
  for (size_t i = 0; i < blocks; ++i)
    bits +=
        "11000101"
        "00000";
  for (size_t i = 0; i < bits.size(); i += 8) {
    int byte = 0;
    for (size_t b = 0; b < 8 && i + b < bits.size(); ++b) byte |= (bits[i + b] - '0') << b;
    out += static_cast<char>(byte);
  }
  return out;
}

TEST(Bombs, PngHeaderAlone) {
  const Data huge = data_of(png_start(60000, 60000, 8, 2) + png_chunk("IDAT", "x"));
  EXPECT_THAT(refusal(huge),
              HasSubstr("image_too_large: the image has 60000 x 60000 pixels, at most 100000000"));
  const Data allowed = data_of(png_start(10000, 10000, 16, 6) + png_chunk("IDAT", "x"));
  EXPECT_THAT(refusal(allowed), HasSubstr("invalid_image"));
  const Data grey16 = data_of(png_start(10000, 10000, 16, 0) + png_chunk("IDAT", "x"));
  EXPECT_THAT(refusal(grey16), HasSubstr("invalid_image"));
}

TEST(Bombs, PngDataBeyondItsRows) {
  // 8 x 8 pixels need 200 bytes; the data unpack to 25 MB.
  const Data bomb =
      data_of(png_start(8, 8, 8, 2) + png_chunk("IDAT", zeros_deflated(100000)) + png_chunk("IEND", ""));
  EXPECT_THAT(refusal(bomb), HasSubstr("i"));
}

TEST(Bombs, PngDataFarBeyondItsRowsAreNotInflated) {
  // 4 MB that unpack to 645 MB.
  const Data bomb =
      data_of(png_start(8, 8, 8, 2) + png_chunk("IDAT", zeros_deflated(2'500'000)) + png_chunk("IEND", ""));
  EXPECT_THAT(refusal(bomb), HasSubstr("PNG: has more pixels than its rows need"));
}

TEST(Bombs, PngRowsThatAreNearlyTheWholeImage) {
  const Data wide = data_of(png_start(50'000'000, 1, 8, 2) + png_chunk("IDAT", zeros_deflated(600'000)));
  EXPECT_THAT(refusal(wide), HasSubstr("image_too_large: PNG: a row of more than 6250000 bytes"));
}

TEST(Bombs, WebPAnimationOnALargeCanvas) {
  const auto le24 = [](uint32_t v) { return le16(v) + static_cast<char>(v >> 16); };
  const std::string canvas = "VP8X" + le32(10) + le32(2) + le24(9999) + le24(9999);
  const std::string body = "WEBP" + canvas + "ANIM" + le32(6) + std::string(6, '\0');
  const Data data = data_of("RIFF" + le32(static_cast<uint32_t>(body.size())) + body);
  EXPECT_THAT(refusal(data),
              HasSubstr("image_too_large: the image has 10000 x 10000 pixels, at most 20000000"));
}

TEST(Bombs, PngCompressedTextIsSkippedUnread) {
  const std::string text = "Comment" + std::string(2, '\0') + zeros_deflated(4'000'000);
  const Data bomb = data_of(png_start(8, 8, 8, 2) + png_chunk("zTXt", text) + png_chunk("IDAT", "x"));
  EXPECT_THAT(refusal(bomb), HasSubstr("invalid_image"));
}

TEST(Bombs, JpegHeaderAlone) {
  const auto start = [](uint32_t width, uint32_t height, char frame) {
    const std::string components =
        "\3\1\x22" + std::string(1, '\0') + "\2\x11" + std::string(1, '\0') + "\3\x11" + std::string(1, '\0');
    return data_of("\xFF\xD8\xFF" + (frame + be16(17)) + "\x08" + be16(height) + be16(width) + components +
                   "\xFF\xDA" + be16(12) + std::string("\3\1\0\2\0\3\0\0\x3F\0", 10) + "\xFF\xD9");
  };
  EXPECT_THAT(refusal(start(65500, 65500, '\xC0')), HasSubstr("image_too_large"));
  EXPECT_THAT(refusal(start(65500, 65500, '\xC2')), HasSubstr("image_too_large"));
  EXPECT_THAT(refusal(start(10000, 10000, '\xC0')), HasSubstr("invalid_image"));
  EXPECT_THAT(refusal(start(10000, 10000, '\xC2')), HasSubstr("invalid_image"));
}

TEST(Bombs, JpegOfManyScans) {
  // The scans of a progressive image over and over again.
  const Data whole = picture("progressive.jpg");
  const Data mark = data_of("\xFF\xDA");
  const auto scan = std::ranges::search(whole, mark).begin();
  Data data(whole.begin(), scan);
  for (int i = 0; i < 2000; ++i) data.insert(data.end(), scan, whole.end() - 2);
  EXPECT_THAT(error_of(data), HasSubstr("invalid_image"));
}

// Scans that change nothing, of a progressive image of one grey: each is a pass over all of it.
Data empty_scans(uint32_t side, int scans) {
  const std::string one_code = std::string(1, '\1') + std::string(16, '\0');  // of one bit, for zero
  std::string jpeg = "\xFF\xD8\xFF\xDB" + be16(67) + std::string(1, '\0') + std::string(64, '\1') +
                     "\xFF\xC2" + be16(11) + "\x08" + be16(side) + be16(side) + std::string("\1\1\x11\0", 4);
  for (const char table : {'\x00', '\x10'}) jpeg += "\xFF\xC4" + be16(20) + table + one_code;
  for (int scan = 0; scan < scans; ++scan) {
    const std::string band = scan == 0 ? std::string(2, '\0') : "\1\5";
    jpeg += "\xFF\xDA" + be16(8) + std::string("\1\1\0", 3) + band + std::string(1, '\0');
    jpeg.append(scan == 0 ? side * side / 64 / 4 + 1 : 4, '\0');
  }
  return data_of(jpeg + "\xFF\xD9");
}

TEST(Bombs, JpegOfMoreScansThanItsSizeAllows) {
  EXPECT_EQ(error_of(empty_scans(64, 100)), "no error");
  EXPECT_THAT(error_of(empty_scans(64, 101)), HasSubstr("invalid_image"));
  EXPECT_EQ(error_of(empty_scans(4096, 10)), "no error");
  const std::clock_t begin = std::clock();
  EXPECT_THAT(error_of(empty_scans(8192, 1000)), HasSubstr("invalid_image"));
  [[maybe_unused]] const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_LT(seconds, 2);
#endif
}

TEST(Bombs, WebPHeaderAlone) {
  const auto start = [](uint32_t side) {
    const uint32_t packed = (side - 1) | (side - 1) << 14;
    const std::string body = "\x2F" + le32(packed) + std::string(8, '\0');
    return data_of("RIFF" + le32(static_cast<uint32_t>(12 + body.size())) + "WEBPVP8L" +
                   le32(static_cast<uint32_t>(body.size())) + body);
  };
  EXPECT_THAT(refusal(start(16383)), HasSubstr("image_too_large: the image has 16383 x 16383"));
  EXPECT_THAT(refusal(start(9000)), HasSubstr("i"));
}

// A TIFF of one directory. Tags are {number, type (3 = 16 bits, 4 = 32 bits), value}.
Data tiff(const std::vector<std::array<uint32_t, 3>>& tags, const std::string& pixels) {
  std::string directory = le16(static_cast<uint32_t>(tags.size()));
  for (const auto& [number, type, value] : tags)
    directory += le16(number) + le16(type) + le32(1) + le32(value);
  return data_of(std::string("II*\0", 4) + le32(static_cast<uint32_t>(8 + pixels.size())) + pixels +
                 directory + le32(0));
}

TEST(Bombs, TiffHeaderAlone) {
  const Data huge = tiff(
      {{256, 4, 60000}, {257, 4, 60000}, {258, 3, 8}, {262, 3, 1}, {273, 4, 8}, {278, 4, 60000}, {279, 4, 4}},
      "abcd");
  EXPECT_THAT(refusal(huge), HasSubstr("image_too_large"));
  const Data strip = tiff({{256, 4, 10000},
                           {257, 4, 10000},
                           {258, 3, 16},
                           {262, 3, 1},
                           {273, 4, 8},
                           {278, 4, 10000},
                           {279, 4, 4}},
                          "abcd");
  EXPECT_THAT(refusal(strip), HasSubstr("invalid_image"));
  const Data tile = tiff({{256, 4, 10},
                          {257, 4, 10},
                          {258, 3, 8},
                          {262, 3, 1},
                          {322, 4, 1 << 20},
                          {323, 4, 1 << 20},
                          {324, 4, 8},
                          {325, 4, 4}},
                         "abcd");
  EXPECT_THAT(refusal(tile), HasSubstr("i"));
}

TEST(Bombs, BmpAndPnmHeadersAlone) {
  const auto bmp = [](uint32_t side, uint32_t compression) {
    return data_of("BM" + le32(0) + le32(0) + le32(54) + le32(40) + le32(side) + le32(side) + le16(1) +
                   le16(8) + le32(compression) + std::string(20, '\0'));
  };
  EXPECT_THAT(refusal(bmp(60000, 0)), HasSubstr("image_too_large"));
  EXPECT_THAT(refusal(bmp(10000, 0)), HasSubstr("invalid_image"));
  EXPECT_THAT(refusal(bmp(10000, 1)), HasSubstr("invalid_image"));
  EXPECT_THAT(refusal(data_of("P6 60000 60000 255\n")), HasSubstr("image_too_large"));
  EXPECT_THAT(refusal(data_of("P6 10000 10000 255\n")), HasSubstr("invalid_image: PNM: ends early"));
  EXPECT_THAT(refusal(data_of("P5 10000 10000 65535\n")), HasSubstr("invalid_image: PNM: ends early"));
  EXPECT_THAT(refusal(data_of("P5 99999999999 1 255\n")), HasSubstr("invalid_image"));
  EXPECT_THAT(refusal(data_of("P5 0 7 255\n")), HasSubstr("the image is empty"));
}

std::string png_grey16(std::initializer_list<uint16_t> values) {
  std::string row(1, '\0');
  for (const uint16_t value : values) row += be16(value);
  const auto size = static_cast<uint32_t>(row.size());
  uint32_t a = 1, b = 0;
  for (const char c : row) {
    a = (a + static_cast<uint8_t>(c)) % 65521;
    b = (b + a) % 65521;
  }
  const std::string stored = "\x78\x01\x01" + le16(size) + le16(~size) + row + be32(b << 16 | a);
  return png_start(static_cast<uint32_t>(values.size()), 1, 16, 0) + png_chunk("IDAT", stored) +
         png_chunk("IEND", "");
}

std::vector<int> first_channel(const Image& image) {
  std::vector<int> values;
  for (size_t i = 0; i < image.pixels().size(); i += 3) {
    EXPECT_EQ(image.pixels()[i], image.pixels()[i + 1]);
    EXPECT_EQ(image.pixels()[i], image.pixels()[i + 2]);
    values.push_back(image.pixels()[i]);
  }
  return values;
}

TEST(Grey16, IsScaledByItsOwnRangeOrItsHighByte) {
  const Data data = data_of(png_grey16({1000, 1001, 1255, 1510, 1000}));
  EXPECT_THAT(first_channel(Image::decode(data)), ElementsAre(0, 1, 128, 255, 0));
  EXPECT_THAT(first_channel(Image::decode(data, {.limits = {}, .grey16 = Grey16::high_byte})),
              ElementsAre(3, 3, 4, 5, 3));
}

TEST(Grey16, ConstantImageBecomesBlack) {
  EXPECT_THAT(first_channel(Image::decode(data_of(png_grey16({40000, 40000})))), ElementsAre(0, 0));
  EXPECT_THAT(first_channel(Image::decode(data_of("P5 2 1 65535\n\x12\x34\x12\x34"))), ElementsAre(0, 0));
}

TEST(Grey16, TiffWithWhiteAsZeroIsInverted) {
  const Data data = tiff({{256, 3, 3},
                          {257, 3, 1},
                          {258, 3, 16},
                          {259, 3, 1},
                          {262, 3, 0},
                          {273, 4, 8},
                          {278, 3, 1},
                          {279, 4, 6}},
                         le16(100) + le16(200) + le16(610));
  EXPECT_THAT(first_channel(Image::decode(data)), ElementsAre(255, 205, 0));
}

// An image of 4 x 2 pixels and three shades: 0, 10 and 20.
Data bmp_of_runs(std::string_view runs) {
  const std::string palette = le32(0) + le32(0x0A0A0A) + le32(0x141414);
  return data_of("BM" + le32(0) + le32(0) + le32(54 + 12) + le32(40) + le32(4) + le32(2) + le16(1) + le16(8) +
                 le32(1) + std::string(12, '\0') + le32(3) + le32(0) + palette + std::string(runs));
}

TEST(Bmp, RunLengthJumpsLeaveTheFirstColour) {
  // From the bottom row: two pixels of 1; then right 1 and up 1; one pixel of 2 in the row above.
  const Image image = Image::decode(bmp_of_runs(std::string_view("\2\1\0\2\1\1\1\2\0\1", 10)));
  EXPECT_THAT(first_channel(image), ElementsAre(0, 0, 0, 20, 10, 10, 0, 0));
}

TEST(Bmp, RunLengthDataMayNotLeaveTheImage) {
  const Image jumped = Image::decode(bmp_of_runs(std::string_view("\2\1\0\2\1\7", 6)));
  EXPECT_THAT(first_channel(jumped), ElementsAre(0, 0, 0, 0, 10, 10, 0, 0));
  const Image overlong = Image::decode(bmp_of_runs(std::string_view("\xFF\1\0\0\xFF\2\xFF\1", 8)));
  EXPECT_THAT(first_channel(overlong), ElementsAre(20, 20, 20, 20, 10, 10, 10, 10));
  EXPECT_THAT(error_of(bmp_of_runs(std::string_view("\4\1\0\1", 4))),
              HasSubstr("run-length data ends early"));
}

TEST(Bombs, BmpRunsBeyondARow) {
  std::string runs;
  for (int i = 0; i < 10'000'000; ++i) runs += "\xFF\1";
  EXPECT_THAT(refusal(bmp_of_runs(runs)), HasSubstr("invalid_image: BMP: ends early"));
}

// An odd number of literal pixels of 4 bits fills its last byte by half.
TEST(Bmp, RunLengthOf4BitsKeepsAnOddLiteralWhole) {
  const std::string palette = le32(0) + le32(0x0A0A0A) + le32(0x141414);
  const Data bmp = data_of("BM" + le32(0) + le32(0) + le32(54 + 12) + le32(40) + le32(5) + le32(1) + le16(1) +
                           le16(4) + le32(2) + std::string(12, '\0') + le32(3) + le32(0) + palette +
                           std::string("\0\3\x12\x10\2\x21\0\1", 8));
  EXPECT_THAT(first_channel(Image::decode(bmp)), ElementsAre(10, 20, 10, 20, 10));
}

TEST(Tiff, SaysWhatItDoesNotRead) {
  const auto with = [](uint32_t compression, uint32_t bits, uint32_t format, uint32_t photometric) {
    return tiff({{256, 3, 1},
                 {257, 3, 1},
                 {258, 3, bits},
                 {259, 3, compression},
                 {262, 3, photometric},
                 {273, 4, 8},
                 {278, 3, 1},
                 {279, 4, 4},
                 {339, 3, format}},
                "abcd");
  };
  EXPECT_THAT(error_of(with(50000, 8, 1, 1)), HasSubstr("TIFF: compression 50000 is not read"));
  EXPECT_THAT(error_of(with(1, 24, 1, 1)), HasSubstr("bits a sample of 24 is not read"));
  EXPECT_THAT(error_of(with(1, 8, 1, 8)), HasSubstr("photometric interpretation 8 is not read"));
}

TEST(Image, FromRgbChecksItsSize) {
  EXPECT_EQ(Image::from_rgb(2, 1, std::vector<uint8_t>(6)).width(), 2u);
  EXPECT_THROW(Image::from_rgb(2, 1, std::vector<uint8_t>(7)), Error);
  EXPECT_THROW(Image::from_rgb(0, 1, {}), Error);
  EXPECT_THROW(Image::from_rgb(SIZE_MAX / 2, 6, std::vector<uint8_t>(12)), Error);
  EXPECT_THROW(Image::adopt_rgb(2, 1, nullptr), Error);
}

TEST(Image, MovedFromIsEmpty) {
  Image image = Image::from_rgb(2, 1, std::vector<uint8_t>(6));
  const Image other = std::move(image);
  EXPECT_EQ(other.pixels().size(), 6u);
  EXPECT_EQ(image.pixels().size(), 0u);  // NOLINT: that is what is tested
}

}  // namespace
}  // namespace mii
