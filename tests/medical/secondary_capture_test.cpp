// Images that were made of DICOM objects, as DICOM objects.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "medical/dicom_file.h"
#include "medical/dicom_writer.h"
#include "mii/error.h"

namespace mii {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;

DicomSet source(uint32_t frames = 1) {
  std::string pixels(4 * frames, 'x');
  DicomSet set =
      dicom_image({.rows = 2, .cols = 2, .allocated = 8, .stored = 8, .frames = frames, .pixels = pixels});
  set.raw(0x00080005, "CS", "ISO_IR 192").raw(0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.2");
  set.raw(0x00080018, "UI", "9.8.7.6").raw(0x00080020, "DA", "20240131").raw(0x00080050, "SH", "ACC-55");
  set.raw(0x00100010, "PN", "D\xC3\xB6^J").raw(0x00100020, "LO", "ID-4711").raw(0x00100030, "DA", "19610203");
  return set.raw(0x0020000D, "UI", "9.8.7").raw(0x0020000E, "UI", "9.8.7.5");
}

const std::vector<uint8_t> kPixels{1, 2, 3, 4, 5, 6, 7, 8, 9};  // 3 x 1, an odd number of bytes

DerivedImage derived(const std::string& series) {
  return {.width = 3,
          .height = 1,
          .rgb = kPixels,
          .description = "what it shows",
          .series_uid = series,
          .number = 4};
}

std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(SecondaryCapture, HasThePatientAndStudyOfItsSourceAndANameOfItsOwn) {
  const Data file = dicom_file(source());
  const std::string series = new_dicom_uid();
  const std::vector<std::byte> bytes = DicomFile::open(file).secondary_capture(derived(series));
  const DicomFile made = DicomFile::open(bytes);
  const DicomInfo info = made.info();
  EXPECT_EQ(info.sop_class, "SecondaryCaptureImageStorage");
  EXPECT_EQ(info.patient_id, "ID-4711");
  EXPECT_EQ(info.study_instance_uid, "9.8.7");
  EXPECT_EQ(info.series_instance_uid, series);
  EXPECT_EQ(info.instance_number, 4);
  EXPECT_NE(info.sop_instance_uid, "9.8.7.6");
  EXPECT_FALSE(info.sop_instance_uid.empty());
  const auto named = made.identifying_attributes();
  EXPECT_THAT(named, Contains(Pair("PatientName", "D\xC3\xB6^J")));
  EXPECT_THAT(named, Contains(Pair("PatientBirthDate", "19610203")));
  EXPECT_THAT(named, Contains(Pair("StudyDate", "20240131")));
  EXPECT_THAT(named, Contains(Pair("AccessionNumber", "ACC-55")));
  for (const char* part : {"ISO_IR 192", "DERIVED\\SECONDARY", "what it shows", "9.8.7.6"})
    EXPECT_THAT(text_of(bytes), HasSubstr(part));
}

TEST(SecondaryCapture, KeepsThePixels) {
  const Data file = dicom_file(source());
  const std::vector<std::byte> bytes = DicomFile::open(file).secondary_capture(derived("2.25.1"));
  const Frame frame = DicomFile::open(bytes).frame(0);
  const auto& colour = std::get<ColourFrame>(frame);
  EXPECT_EQ(colour.cols, 3u);
  EXPECT_THAT(colour.rgb, testing::ElementsAreArray(kPixels));
}

TEST(SecondaryCapture, TwoHaveDifferentNames) {
  const Data file = dicom_file(source());
  const DicomFile opened = DicomFile::open(file);
  const auto name = [&] {
    const std::vector<std::byte> bytes = opened.secondary_capture(derived("2.25.1"));
    return DicomFile::open(bytes).info().sop_instance_uid;
  };
  EXPECT_NE(name(), name());
  EXPECT_NE(new_dicom_uid(), new_dicom_uid());
}

TEST(SecondaryCapture, NamesTheFrameOfSeveral) {
  const Data one = dicom_file(source()), several = dicom_file(source(3));
  DerivedImage image = derived("2.25.1");
  image.frame = 2;
  // (0008,1160) IS Referenced Frame Number, "3 ".
  const std::string named(
      "\x08\x00\x60\x11IS\x02\x00"
      "3 ",
      10);
  EXPECT_THAT(text_of(DicomFile::open(several).secondary_capture(image)), HasSubstr(named));
  image.frame = 0;
  EXPECT_THAT(text_of(DicomFile::open(one).secondary_capture(image)), Not(HasSubstr(named.substr(0, 6))));
}

TEST(SecondaryCapture, ImagesThatDicomCannotHoldAreRefused) {
  const Data file = dicom_file(source());
  const DicomFile opened = DicomFile::open(file);
  EXPECT_THROW(opened.secondary_capture({}), Error);
  DerivedImage image = derived("2.25.1");
  image.width = 2;  // not what its pixels have
  EXPECT_THROW(opened.secondary_capture(image), Error);
  const std::vector<uint8_t> long_row(size_t{65536} * 3);
  EXPECT_THROW(opened.secondary_capture({.width = 65536, .height = 1, .rgb = long_row}), Error);
}

}  // namespace
}  // namespace mii
