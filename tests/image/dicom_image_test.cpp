// DICOM files as images: recognised by content, shown by a profile, with a record of how.

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/file.h"
#include "medical/dicom_writer.h"
#include "mii/error.h"
#include "mii/image.h"

namespace mii {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// One channel; all three are equal.
std::vector<int> greys(const Image& image) {
  std::vector<int> values;
  for (size_t i = 0; i < image.pixels().size(); i += 3) {
    EXPECT_EQ(image.pixels()[i], image.pixels()[i + 1]);
    EXPECT_EQ(image.pixels()[i], image.pixels()[i + 2]);
    values.push_back(image.pixels()[i]);
  }
  return values;
}

DicomSet mr_row(const std::vector<uint16_t>& values, const std::string& photometric = "MONOCHROME2") {
  return dicom_image({.cols = static_cast<uint16_t>(values.size()),
                      .photometric = photometric,
                      .modality = "MR",
                      .pixels = numbers(values)});
}

DecodeOptions with(const char* profile) { return {.profile = Profile::parse(profile)}; }

TEST(DicomImage, ATiffHeaderInThePreambleIsStillDicom) {
  const std::string set = mr_row({0, 50, 100}).bytes();
  for (const std::string& magic : {std::string("II*\0\x08\0\0\0", 8), std::string("MM\0*\0\0\0\x08", 8)}) {
    const Image image = Image::decode(part10(kExplicitLittle, set, magic), with("minmax"));
    EXPECT_THAT(greys(image), ElementsAre(0, 127, 255));
    EXPECT_EQ(image.provenance()->format, "DICOM");
  }
}

TEST(DicomImage, Monochrome1IsTheInverseOfMonochrome2) {
  const std::vector<uint16_t> values{0, 1, 77, 500, 999, 1000};
  for (const char* profile : {"minmax", "stored", "window:500,800", "percentile:5,95"}) {
    const auto plain = greys(Image::decode(dicom_file(mr_row(values)), with(profile)));
    const Image inverted = Image::decode(dicom_file(mr_row(values, "MONOCHROME1")), with(profile));
    const auto turned = greys(inverted);
    for (size_t i = 0; i < plain.size(); ++i) EXPECT_EQ(turned[i], 255 - plain[i]) << profile << " " << i;
    EXPECT_TRUE(inverted.provenance()->inverted);
  }
}

TEST(DicomImage, TheMiddleFrameIsTheDefault) {
  DicomPixels pixels{.cols = 2, .modality = "US", .frames = 3, .pixels = "\1\2\3\4\5\6"};
  pixels.allocated = pixels.stored = 8;
  const Data data = dicom_file(dicom_image(pixels));
  EXPECT_THAT(greys(Image::decode(data)), ElementsAre(3, 4));
  EXPECT_EQ(Image::decode(data).provenance()->frame, 1u);
  EXPECT_EQ(Image::decode(data).provenance()->frames, 3u);
  DecodeOptions options;
  options.frame = 2;
  EXPECT_THAT(greys(Image::decode(data, options)), ElementsAre(5, 6));
  EXPECT_THAT(greys(ImageFile::open(data).frame(options)), ElementsAre(5, 6));
  EXPECT_EQ(ImageFile::open(data).frames(), 3u);
  options.frame = 3;
  EXPECT_THROW(Image::decode(data, options), Error);
}

TEST(DicomImage, TheRecordSaysWhatWasDone) {
  DicomSet set = mr_row({0, 50, 100});
  set.raw(0x00080060, "CS", "CT").raw(0x00281052, "DS", "-10").raw(0x00281053, "DS", "2");
  set.raw(0x00281050, "DS", "40\\1").raw(0x00281051, "DS", "400\\2").raw(0x00100010, "PN", "Doe^Jane");
  const Image image = Image::decode(dicom_file(set));
  const Provenance& p = *image.provenance();
  EXPECT_EQ(p.photometric_interpretation, "MONOCHROME2");
  EXPECT_EQ(p.modality, "CT");
  EXPECT_EQ(p.profile, "auto");
  EXPECT_EQ(p.applied, "voi-window");
  EXPECT_EQ(p.window->center, 40);
  EXPECT_EQ(p.window->width, 400);
  EXPECT_EQ(p.rescale, std::pair(2.0, -10.0));
  EXPECT_EQ(p.width, 3u);
  EXPECT_EQ(p.height, 1u);
  EXPECT_THAT(p.warnings, IsEmpty());
  EXPECT_EQ(Image::decode(dicom_file(set), with("minmax")).provenance()->range, std::pair(-10.0, 190.0));
}

TEST(DicomImage, ABurnedInAnnotationIsWarnedOf) {
  DicomSet set = mr_row({0, 1});
  set.raw(0x00280301, "CS", "YES");
  EXPECT_THAT(Image::decode(dicom_file(set)).provenance()->warnings,
              ElementsAre(HasSubstr("burned-in annotation")));
  set.raw(0x00280301, "CS", "NO");
  EXPECT_THAT(Image::decode(dicom_file(set)).provenance()->warnings, IsEmpty());
}

// Two decoders of one codestream: at most 2 grey levels apart.
TEST(DicomImage, JpegBaselineIsWhatAJpegFileGives) {
  const Data jpeg =
      read_file(std::filesystem::path(MII_TEST_DATA) / "golden" / "synthetic" / "grey.jpg", 1 << 24);
  const Image expected = Image::decode(jpeg);
  DicomPixels pixels{.rows = static_cast<uint16_t>(expected.height()),
                     .cols = static_cast<uint16_t>(expected.width())};
  pixels.allocated = pixels.stored = 8;
  DicomSet set = dicom_image(pixels);
  set.encapsulated({std::string(reinterpret_cast<const char*>(jpeg.data()), jpeg.size())});
  const Image found = Image::decode(part10(kJpegBaseline, set.bytes()), with("stored"));
  ASSERT_EQ(found.pixels().size(), expected.pixels().size());
  int worst = 0;
  for (size_t i = 0; i < found.pixels().size(); ++i)
    worst = std::max(worst, std::abs(found.pixels()[i] - expected.pixels()[i]));
  EXPECT_LE(worst, 2);
}

}  // namespace
}  // namespace mii
