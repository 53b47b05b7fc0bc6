// TIFF: what its strips and tiles may hold, and measured values, from files that are built here byte by byte.

#include <bit>
#include <cmath>
#include <limits>
#include <span>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "mii/error.h"
#include "mii/image.h"

#include "image/encode_jpeg.h"
#include "image/error_of.h"
#include "image/tiff_writer.h"

namespace mii {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr uint32_t kDeflate = 8, kOldJpeg = 6;

std::vector<int> greys(const Image& image) {
  std::vector<int> values;
  for (size_t i = 0; i < image.pixels().size(); i += 3) values.push_back(image.pixels()[i]);
  return values;
}

std::vector<uint8_t> pixels_of(const Data& data, uint64_t max_pixels) {
  const Image image = Image::decode(data, {.limits = {.max_pixels = max_pixels}});
  return {image.pixels().begin(), image.pixels().end()};
}

long peak_memory_kib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

DecodeOptions with(const char* profile) { return {.profile = Profile::parse(profile)}; }

// Bytes that differ from their neighbours.
std::string noise(size_t size) {
  std::string out(size, '\0');
  uint32_t state = 1;
  for (char& c : out) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  return out;
}

// --- bombs
// -------------------------------------------------------------------------------------------------------

TEST(TiffBombs, ManySamplesOfManyBitsAreRefusedBeforeTheyAreUnpacked) {
  const Data bomb = TiffWriter{.width = 3000,
                               .height = 3000,
                               .bits = 16,
                               .samples = 8,
                               .photometric = 2,
                               .compression = kDeflate,
                               .blocks = {deflated(std::string(3000 * 3000 * 16, '\0'))}}
                        .bytes();
  const long before = peak_memory_kib();
  EXPECT_THAT(error_of(bomb, {.limits = {.max_pixels = 10'000'000}}),
              HasSubstr("image_too_large: TIFF: its strips or tiles hold more than 80000000 bytes"));
  EXPECT_LT(peak_memory_kib() - before, 16 * 1024);
}

TEST(TiffBombs, AnEnormousStripTakesTheMemoryOfARow) {
  TiffWriter writer{.width = 3000, .height = 3000, .samples = 3, .photometric = 2, .compression = kDeflate};
  writer.blocks = {deflated(std::string(3000 * 3000 * 3, '\7'))};
  const Data data = writer.bytes();
  const long before = peak_memory_kib();
  EXPECT_EQ(pixels_of(data, 9'000'000), std::vector<uint8_t>(27'000'000, 7));
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // they keep what is freed
  EXPECT_LT(peak_memory_kib() - before,
            (3 * 27'000'000 + 8'000'000) / 1024);  // the image and this test's copies
#endif
}

TEST(TiffBombs, TilesMuchLargerThanTheImageAreRefused) {
  const std::string tile = deflated(std::string(1024 * 1024, '\0'));
  const TiffWriter narrow{
      .width = 1, .height = 102'400, .compression = kDeflate, .tile = 1024, .copies = 100, .blocks = {tile}};
  EXPECT_THAT(error_of(narrow.bytes(), {.limits = {.max_pixels = 2'000'000}}),
              HasSubstr("image_too_large: TIFF: its strips or tiles hold more than 16000000 bytes"));
  const TiffWriter one{.compression = kDeflate, .tile = 1024, .blocks = {tile}};
  EXPECT_THAT(error_of(one.bytes(), {.limits = {.max_pixels = 1'000'000}}),
              HasSubstr("image_too_large: TIFF: a tile holds more than 1000000 bytes"));
  EXPECT_EQ(error_of(one.bytes(), {.limits = {.max_pixels = 1'100'000}}), "no error");
}

TEST(TiffBombs, ALargeCompressedStripOfOneSampleEachIsRefused) {
  const std::string strip = deflated(std::string(100 * 100, '\0'));
  const TiffWriter writer{.width = 100,
                          .height = 100,
                          .samples = 3,
                          .photometric = 2,
                          .compression = kDeflate,
                          .planar = 2,
                          .copies = 3,
                          .blocks = {strip}};
  EXPECT_THAT(error_of(writer.bytes(), {.limits = {.max_pixels = 10'000}}),
              HasSubstr("image_too_large: TIFF: a strip holds more than 10000 bytes"));
  EXPECT_EQ(error_of(writer.bytes()), "no error");
}

TEST(TiffBombs, AStripAndTilesWithoutPixelsAreRefused) {
  EXPECT_THAT(error_of(TiffWriter{.blocks = {"a"}, .more = {{278, 0}}}.bytes()), HasSubstr("invalid_image"));
  EXPECT_THAT(error_of(TiffWriter{.tile = 16, .blocks = {"a"}, .more = {{322, 0}}}.bytes()),
              HasSubstr("invalid_image"));
}

// A limit of as many pixels as there are makes strips be read row by row.
TEST(Tiff, AStripReadRowByRowGivesTheSamePixels) {
  const uint32_t width = 5003, height = 16;  // more than a piece of a row
  for (const uint32_t orientation : {1, 2, 3, 4, 5, 6, 7, 8}) {
    for (const auto& [photometric, samples, bits] :
         {std::tuple{2, 3, 8}, {2, 3, 16}, {5, 4, 8}, {1, 2, 16}, {0, 1, 1}, {1, 1, 4}, {1, 1, 12}}) {
      TiffWriter writer{.width = width,
                        .height = height,
                        .bits = uint32_t(bits),
                        .samples = uint32_t(samples),
                        .photometric = uint32_t(photometric),
                        .compression = kDeflate,
                        .orientation = orientation};
      const size_t row = (size_t{width} * writer.samples * writer.bits + 7) / 8;
      writer.blocks = {deflated(noise(row * height))};
      const Data data = writer.bytes();
      EXPECT_EQ(pixels_of(data, width * height), pixels_of(data, 100'000'000))
          << bits << " bits, " << samples << " samples, orientation " << orientation;
    }
  }
}

TEST(Tiff, UncompressedPlanesReadRowByRowGiveTheSamePixels) {
  TiffWriter writer{.width = 301, .height = 40, .bits = 8, .samples = 3, .photometric = 2, .planar = 2};
  for (int plane = 0; plane < 3; ++plane) writer.blocks.push_back(noise(301 * 40 + plane).substr(plane));
  EXPECT_EQ(pixels_of(writer.bytes(), 301 * 40), pixels_of(writer.bytes(), 100'000'000));
}

// --- measured values
// -----------------------------------------------------------------------------------------------

// A row of values, shown by a profile.
template <class T>
std::vector<int> shown(const std::vector<T>& values, uint32_t sample_format, const char* profile = "minmax") {
  std::vector<int> first;
  for (const bool big : {false, true}) {
    const TiffWriter writer{.width = static_cast<uint32_t>(values.size()),
                            .bits = 8 * sizeof(T),
                            .sample_format = sample_format,
                            .blocks = {numbers(values, big)},
                            .big = big};
    const std::vector<int> here = greys(Image::decode(writer.bytes(), with(profile)));
    if (big) {
      EXPECT_EQ(here, first);
    }
    first = here;
  }
  return first;
}

TEST(MeasuredTiff, SignedNumbersAreInTheirOrder) {
  EXPECT_THAT(shown<int8_t>({-100, 0, 100}, 2), ElementsAre(0, 127, 255));
  EXPECT_THAT(shown<int16_t>({-1000, 0, 1000}, 2), ElementsAre(0, 127, 255));
  EXPECT_THAT(shown<int32_t>({INT32_MIN, 0, INT32_MAX}, 2), ElementsAre(0, 127, 255));
  EXPECT_THAT(shown<int64_t>({-1000, 0, 1000}, 2), ElementsAre(0, 127, 255));
}

TEST(MeasuredTiff, UnsignedNumbersOf32And64Bits) {
  EXPECT_THAT(shown<uint32_t>({0, 0x80000000, UINT32_MAX}, 1), ElementsAre(0, 127, 255));
  EXPECT_THAT(shown<uint64_t>({0, 1ull << 63, UINT64_MAX}, 1), ElementsAre(0, 127, 255));
}

TEST(MeasuredTiff, FloatingPointNumbersOfThreeSizes) {
  EXPECT_THAT(shown<float>({-0.5f, 0, 0.5f}, 3), ElementsAre(0, 127, 255));
  EXPECT_THAT(shown<double>({-1e300, 0, 1e300}, 3), ElementsAre(0, 127, 255));
  // binary16: -2, 0.0, the smallest above 0, 1, 2.
  EXPECT_THAT(shown<uint16_t>({0xC000, 0, 1, 0x3C00, 0x4000}, 3), ElementsAre(0, 127, 127, 191, 255));
}

TEST(MeasuredTiff, NanIsBlackAndInfinityCountsInNoStatistics) {
  EXPECT_THAT(shown<double>({kNan, -kInfinity, 10, 20, kInfinity}, 3), ElementsAre(0, 0, 0, 255, 255));
  EXPECT_THAT(shown<uint16_t>({0x7E00, 0xFC00, 0x3C00, 0x4000, 0x7C00}, 3), ElementsAre(0, 0, 0, 255, 255));
  EXPECT_THAT(shown<float>({float(kNan), float(kNan)}, 3, "auto"), ElementsAre(0, 0));
}

TEST(MeasuredTiff, ProfilesArePickedAndRecorded) {
  std::vector<int16_t> hounsfield(101);
  for (int i = 0; i <= 100; ++i) hounsfield[i] = static_cast<int16_t>(10 * i);
  const TiffWriter writer{.width = 101, .bits = 16, .sample_format = 2, .blocks = {numbers(hounsfield)}};
  const Image image = Image::decode(writer.bytes());
  EXPECT_EQ(image.provenance()->format, "TIFF");
  EXPECT_EQ(image.provenance()->profile, "auto");
  EXPECT_EQ(image.provenance()->applied, "percentile");
  EXPECT_EQ(image.provenance()->range, std::pair(10.0, 990.0));
  EXPECT_EQ(greys(image)[0], 0);
  EXPECT_EQ(greys(image)[1], 0);
  EXPECT_EQ(greys(image)[100], 255);

  // Window 100/21: black up to 89.5, white from 110.5 - 1 on.
  const std::vector<int> window = greys(Image::decode(writer.bytes(), with("window:100,21")));
  EXPECT_EQ(window[8], 0);
  EXPECT_THAT(window[10], testing::AllOf(testing::Gt(0), testing::Lt(255)));
  EXPECT_EQ(window[11], 255);

  EXPECT_EQ(greys(Image::decode(writer.bytes(), with("stored")))[0], 127);
  EXPECT_THAT(error_of(writer.bytes(), with("voi")), HasSubstr("the profile 'voi' needs a window"));
}

TEST(MeasuredTiff, WhiteAsZeroIsInvertedWhereTheTagSaysSo) {
  TiffWriter writer{
      .width = 3, .bits = 32, .sample_format = 3, .photometric = 0, .blocks = {numbers<float>({1, 2, 3})}};
  EXPECT_THAT(greys(Image::decode(writer.bytes(), with("minmax"))), ElementsAre(255, 128, 0));
  writer.photometric.reset();
  EXPECT_THAT(greys(Image::decode(writer.bytes(), with("minmax"))), ElementsAre(0, 127, 255));
}

TEST(MeasuredTiff, OrientationExtraSamplesTilesAndPlanes) {
  // Two rows of three; the second sample of each pixel is left out.
  const std::vector<float> values = {0, 9, 1, 9, 2, 9, 3, 9, 4, 9, 5, 9};
  TiffWriter writer{.width = 3,
                    .height = 2,
                    .bits = 32,
                    .samples = 2,
                    .sample_format = 3,
                    .orientation = 6,
                    .blocks = {numbers(values)}};
  const Image turned = Image::decode(writer.bytes(), with("window:2.5,6"));
  EXPECT_EQ(turned.width(), 2u);
  EXPECT_THAT(greys(turned), ElementsAre(178, 25, 229, 76, 255, 127));

  TiffWriter planes{.width = 3,
                    .height = 2,
                    .bits = 32,
                    .samples = 2,
                    .sample_format = 3,
                    .planar = 2,
                    .copies = 2,
                    .blocks = {numbers<float>({0, 1, 2, 3, 4, 5})}};
  EXPECT_THAT(greys(Image::decode(planes.bytes(), with("minmax"))), ElementsAre(0, 51, 102, 153, 204, 255));

  std::vector<int32_t> tile(16 * 16, 77);
  tile[0] = -1;
  TiffWriter tiles{.width = 17,
                   .height = 1,
                   .bits = 32,
                   .sample_format = 2,
                   .tile = 16,
                   .copies = 2,
                   .blocks = {numbers(tile)}};
  const std::vector<int> across = greys(Image::decode(tiles.bytes(), with("minmax")));
  EXPECT_EQ(across[0], 0);
  EXPECT_EQ(across[15], 255);
  EXPECT_EQ(across[16], 0);
}

TEST(MeasuredTiff, MayHaveAFifthOfThePixels) {
  const TiffWriter writer{
      .width = 10, .height = 10, .bits = 32, .sample_format = 3, .blocks = {std::string(400, '\0')}};
  EXPECT_EQ(error_of(writer.bytes(), {.limits = {.max_pixels = 500}}), "no error");
  EXPECT_THAT(error_of(writer.bytes(), {.limits = {.max_pixels = 499}}),
              HasSubstr("image_too_large: the image has 10 x 10 pixels, at most 99 are decoded"));
}

TEST(MeasuredTiff, SaysWhatItDoesNotRead) {
  const auto with_bits = [](uint32_t bits, uint32_t format, uint32_t photometric) {
    return TiffWriter{
        .bits = bits, .sample_format = format, .photometric = photometric, .blocks = {std::string(16, '\0')}}
        .bytes();
  };
  EXPECT_THAT(error_of(with_bits(24, 3, 1)), HasSubstr("numbers of 24 bits in sample format 3 are not read"));
  EXPECT_THAT(error_of(with_bits(8, 5, 1)), HasSubstr("sample format 5 is not read"));
}

// --- old-style JPEG
// ------------------------------------------------------------------------------------------------

// Constant blocks lose nothing to the transform. What is left are two roundings on the way to YCbCr and back,
// and the two columns at the seam, whose colours the libraries interpolate differently.
TEST(Tiff, OldStyleJpegIsRead) {
  std::vector<uint8_t> rgb;
  for (int i = 0; i < 32 * 16; ++i) {
    const bool right = i % 32 >= 16;
    rgb.insert(rgb.end(), {uint8_t(right ? 200 : 40), 90, uint8_t(right ? 60 : 180)});
  }
  const std::vector<std::byte> jpeg = encode_jpeg(Image::from_rgb(32, 16, rgb), 95);
  const std::string stored(reinterpret_cast<const char*>(jpeg.data()), jpeg.size());
  const Image expected = Image::decode(jpeg);
  const TiffWriter writer{.width = 32,
                          .height = 16,
                          .samples = 3,
                          .photometric = 6,
                          .compression = kOldJpeg,
                          .blocks = {stored},
                          .more = {{512, 1}, {513, 8}, {514, static_cast<uint32_t>(stored.size())}}};
  const Image image = Image::decode(writer.bytes());
  for (size_t i = 0; i < rgb.size(); ++i) {
    const size_t x = i / 3 % 32;
    if (x == 15 || x == 16) continue;
    ASSERT_NEAR(image.pixels()[i], expected.pixels()[i], 2) << i;
  }
}

}  // namespace
}  // namespace mii
