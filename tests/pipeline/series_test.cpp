// Folders of small DICOM files: what belongs together, and in which order.

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "mii/error.h"
#include "mii/series.h"

#include "medical/dicom_writer.h"

namespace mii {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kAxial = "1\\0\\0\\0\\1\\0";

struct Place {
  std::string position;              // empty: none
  std::string orientation = kAxial;  // empty: none
  int instance = 0;
  std::string series = "1.2.3.1";
  std::string study = "1.2.3";
  int number = 1;
  std::vector<uint16_t> values = {1, 2};
};

DicomSet slice(const Place& place) {
  DicomSet set = dicom_image({.cols = static_cast<uint16_t>(place.values.size()),
                              .modality = "MR",
                              .pixels = numbers(place.values)});
  set.raw(0x0020000D, "UI", place.study).raw(0x0020000E, "UI", place.series);
  set.raw(0x00200011, "IS", std::to_string(place.number));
  if (place.instance != 0) set.raw(0x00200013, "IS", std::to_string(place.instance));
  if (!place.position.empty()) set.raw(0x00200032, "DS", place.position);
  if (!place.orientation.empty()) set.raw(0x00200037, "DS", place.orientation);
  return set;
}

class SeriesTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("mii-series-" + std::to_string(getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const std::string& name, const Data& data) const {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name, std::ios::binary)
        .write(reinterpret_cast<const char*>(data.data()), static_cast<std::streamsize>(data.size()));
  }
  void write(const std::string& name, const Place& place) const { write(name, dicom_file(slice(place))); }

  SeriesScan scan(const std::string& name = "", SlicePlane plane = SlicePlane::axial) const {
    const fs::path path = name.empty() ? folder_ : folder_ / name;
    return find_series({&path, 1}, plane);
  }
  Series only() const {
    SeriesScan found = scan();
    EXPECT_EQ(found.series.size(), 1u);
    EXPECT_THAT(found.skipped, IsEmpty());
    return found.series.empty() ? Series{} : found.series.front();
  }

  fs::path folder_;
};

// "b a c", by file name; frames of several as "a#2".
std::string order_of(const Series& series) {
  std::string text;
  for (const Slice& s : series.slices) {
    if (!text.empty()) text += ' ';
    text += s.file.filename().string();
    if (s.frame > 0) text.append("#").append(std::to_string(s.frame + 1));
  }
  return text;
}

TEST_F(SeriesTest, LiesInOrderOfGeometryWhateverNamesAndNumbersSay) {
  write("a", Place{.position = "0\\0\\20", .instance = 1});
  write("b", Place{.position = "0\\0\\-10", .instance = 3});
  write("c", Place{.position = "0\\0\\5", .instance = 2});
  const Series series = only();
  EXPECT_EQ(order_of(series), "b c a");
  EXPECT_EQ(series.slices[0].position_mm, -10);
  EXPECT_EQ(series.slices[2].position_mm, 20);
  EXPECT_THAT(series.warnings, IsEmpty());
  EXPECT_EQ(series.modality, "MR");
  EXPECT_EQ(series.cols, 2u);
  EXPECT_EQ(series.series_instance_uid, "1.2.3.1");
}

TEST_F(SeriesTest, PositionsCountAlongTheNormal) {
  // Rows along y, columns along -z: the normal is y x -z = -x.
  const char* sagittal = "0\\1\\0\\0\\0\\-1";
  write("a", Place{.position = "30\\500\\1", .orientation = sagittal});
  write("b", Place{.position = "-10\\0\\900", .orientation = sagittal});
  write("c", Place{.position = "10\\-70\\3", .orientation = sagittal});
  const Series series = only();
  EXPECT_EQ(order_of(series), "a c b");
  EXPECT_EQ(series.slices[0].position_mm, -30);
}

TEST_F(SeriesTest, ObliqueNormals) {
  // Turned by 30 degrees about x: columns (0, cos, sin), the normal is (0, -sin, cos).
  const double c = std::cos(M_PI / 6), s = std::sin(M_PI / 6);
  const std::string oblique = "1\\0\\0\\0\\" + std::to_string(c) + "\\" + std::to_string(s);
  for (const auto& [name, distance] : {std::pair("a", 12.0), std::pair("b", 0.0), std::pair("c", 6.0)}) {
    // Along the normal, and moved within the plane, which must not count.
    const double shift = distance * 7 - 40;
    write(name, Place{.position = std::to_string(shift) + "\\" + std::to_string(-s * distance + c * shift) +
                                  "\\" + std::to_string(c * distance + s * shift),
                      .orientation = oblique});
  }
  const Series series = only();
  EXPECT_EQ(order_of(series), "b c a");
  EXPECT_NEAR(*series.slices[2].position_mm, 12, 1e-3);  // six decimals of numbers below 100
  EXPECT_THAT(series.warnings, IsEmpty());
}

TEST_F(SeriesTest, DuplicatesAndGapsAreWarnedOf) {
  for (const auto& [name, z, instance] :
       {std::tuple("a", "0", 1), std::tuple("b", "5", 2), std::tuple("c", "10", 3), std::tuple("d", "25", 4),
        std::tuple("e", "30", 5), std::tuple("f", "30", 6)})
    write(name, Place{.position = std::string("0\\0\\") + z, .instance = instance});
  const Series series = only();
  EXPECT_EQ(order_of(series), "a b c d e f");
  EXPECT_THAT(series.warnings, ElementsAre("1 slices lie where another one lies", "1 gaps between slices"));
}

TEST_F(SeriesTest, RepeatedInstanceNumbersAreWarnedOf) {
  write("a", Place{.position = "0\\0\\0", .instance = 4});
  write("b", Place{.position = "0\\0\\1", .instance = 4});
  EXPECT_THAT(only().warnings, ElementsAre("instance numbers are repeated"));
}

TEST_F(SeriesTest, WithoutPositionsInstanceNumbersCount) {
  write("a", Place{.position = "", .instance = 10});
  write("b", Place{.position = "0\\0\\7", .instance = 9});
  write("c", Place{.position = "0\\0\\1", .instance = 11});
  const Series series = only();
  EXPECT_EQ(order_of(series), "b a c");
  EXPECT_EQ(series.slices[0].position_mm, std::nullopt);
  EXPECT_THAT(series.warnings, ElementsAre("slices without a position: in order of their instance numbers"));
}

TEST_F(SeriesTest, SeveralOrientationsFallBackToInstanceNumbers) {
  write("a", Place{.position = "0\\0\\1", .instance = 3});
  write("b", Place{.position = "0\\0\\2", .instance = 1});
  write("c", Place{.position = "0\\0\\3", .orientation = "0\\1\\0\\0\\0\\-1", .instance = 2});
  const Series series = only();
  EXPECT_EQ(order_of(series), "b c a");
  EXPECT_THAT(series.warnings,
              ElementsAre("slices of several orientations: in order of their instance numbers"));
}

TEST_F(SeriesTest, StudiesAndSeriesAreToldApart) {
  write("1", Place{.position = "0\\0\\0", .series = "1.9", .study = "1.2", .number = 7});
  write("2", Place{.position = "0\\0\\0", .series = "1.8", .study = "1.2", .number = 3});
  write("sub/3", Place{.position = "0\\0\\1", .series = "1.9", .study = "1.2", .number = 7});
  write("sub/4", Place{.position = "0\\0\\1", .series = "1.9", .study = "1.1", .number = 7});
  const SeriesScan found = scan();
  ASSERT_EQ(found.series.size(), 3u);
  EXPECT_EQ(order_of(found.series[0]), "4");
  EXPECT_EQ(order_of(found.series[1]), "2");
  EXPECT_EQ(order_of(found.series[2]), "1 3");
}

TEST_F(SeriesTest, FilesWithoutASeriesUidAreSeriesOfTheirOwn) {
  write("a", Place{.position = "0\\0\\0", .series = ""});
  write("b", Place{.position = "0\\0\\1", .series = ""});
  EXPECT_EQ(scan().series.size(), 2u);
}

TEST_F(SeriesTest, OtherFilesAreListedWithTheirReason) {
  write("a", Place{.position = "0\\0\\0"});
  write("notes.txt", data_of("some words"));
  DicomSet report;
  report.raw(0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.88.11").raw(0x00080060, "CS", "SR");
  write("report", dicom_file(report));
  const SeriesScan found = scan();
  EXPECT_EQ(found.series.size(), 1u);
  ASSERT_EQ(found.skipped.size(), 2u);
  EXPECT_THAT(found.skipped[0].reason, HasSubstr("neither a DICOM file nor a NIfTI volume"));
  EXPECT_THAT(found.skipped[1].reason, HasSubstr("holds no image: it is BasicTextSR"));
}

TEST_F(SeriesTest, AMissingPathIsAnError) {
  try {
    scan("nothing");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::io);
  }
}

TEST_F(SeriesTest, FramesOfAnEnhancedObjectAreOrderedByTheirOwnPositions) {
  DicomSet set = slice({.position = "", .orientation = "", .instance = 1, .values = {1, 2, 3}});
  set.us(0x00280011, {1}).raw(0x00280008, "IS", "3");
  std::vector<DicomSet> frames;
  for (const char* z : {"0\\0\\5", "0\\0\\-5", "0\\0\\0"})
    frames.push_back(DicomSet().sequence(0x00209113, {DicomSet().raw(0x00200032, "DS", z)}));
  set.sequence(0x52009230, frames);
  set.sequence(0x52009229, {DicomSet().sequence(0x00209116, {DicomSet().raw(0x00200037, "DS", kAxial)})});
  write("e", dicom_file(set));
  const Series series = only();
  EXPECT_EQ(order_of(series), "e#2 e#3 e");
  EXPECT_EQ(series.slices[0].position_mm, -5);
  EXPECT_THAT(series.warnings, IsEmpty());
}

TEST_F(SeriesTest, ADicomdirListsFilesOfItsFolderOnly) {
  write("disc/IMAGES/A", Place{.position = "0\\0\\2"});
  write("disc/images/b", Place{.position = "0\\0\\1"});  // copied in small letters
  write("disc/IMAGES/UNLISTED", Place{.position = "0\\0\\3"});
  write("outside", Place{.position = "0\\0\\4"});
  std::vector<DicomSet> records;
  records.push_back(DicomSet().raw(0x00041430, "CS", "PATIENT"));
  for (const char* id : {"IMAGES\\A", "IMAGES\\B", "..\\OUTSIDE", "..\\outside", "IMAGES\\..\\..\\outside",
                         "/outside", "", "IMAGES\\", "\\IMAGES\\A"})
    records.push_back(DicomSet().raw(0x00041430, "CS", "IMAGE").raw(0x00041500, "CS", id));
  DicomSet directory;
  directory.raw(0x00041130, "CS", "DISC").sequence(0x00041220, records, true);
  write("disc/DICOMDIR", dicom_file(directory));
  const SeriesScan listed = scan("disc/DICOMDIR");
  ASSERT_EQ(listed.series.size(), 1u);
  EXPECT_EQ(order_of(listed.series[0]), "b A");
  EXPECT_THAT(listed.skipped, IsEmpty());
  // Of a folder, the files count that are there.
  ASSERT_EQ(scan("disc").series.size(), 1u);
  EXPECT_EQ(order_of(scan("disc").series[0]), "b A UNLISTED");
}

TEST_F(SeriesTest, WhatADicomdirListsAndIsNotThereIsSkipped) {
  DicomSet directory;
  directory.sequence(0x00041220, {DicomSet().raw(0x00041500, "CS", "GONE")});
  write("DICOMDIR", dicom_file(directory));
  const SeriesScan found = scan("DICOMDIR");
  EXPECT_THAT(found.series, IsEmpty());
  ASSERT_EQ(found.skipped.size(), 1u);
  EXPECT_EQ(found.skipped[0].file.filename(), "GONE");
}

TEST_F(SeriesTest, ANiftiVolumesSlicesAreASeries) {
  NiftiWriter volume;
  volume.dim = {4, 2, 3, 4, 2};
  volume.voxels = std::string(2 * 3 * 4 * 2 * 2, '\1');
  write("v.nii", volume.bytes());
  const Series axial = only();
  EXPECT_EQ(axial.modality, "NIfTI");
  EXPECT_EQ(axial.slices.size(), 8u);
  EXPECT_EQ(axial.rows, 3u);
  EXPECT_EQ(axial.cols, 2u);
  EXPECT_THAT(axial.warnings, ElementsAre("2 points in time, one after another"));
  EXPECT_EQ(scan("", SlicePlane::sagittal).series.at(0).slices.size(), 4u);
}

double percentile(std::vector<double> values, double p) {
  std::ranges::sort(values);
  const double rank = p / 100 * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(rank);
  const size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (values[above] - values[below]) * (rank - static_cast<double>(below));
}

TEST_F(SeriesTest, ItsValueRangeIsThatOfTheJoinedSlices) {
  write("a", Place{.position = "0\\0\\0", .values = {5, 900, 17, 65535}});
  write("b", Place{.position = "0\\0\\1", .values = {100, 3, 2, 1000}});
  write("c", Place{.position = "0\\0\\2", .values = {7, 7, 7, 2000}});
  const std::vector<double> joined{5, 900, 17, 65535, 100, 3, 2, 1000, 7, 7, 7, 2000};
  const std::vector<Slice> slices = only().slices;
  const auto range = [&](const char* profile) {
    return series_value_range(slices, {.profile = Profile::parse(profile)});
  };
  ASSERT_TRUE(range("auto").has_value());
  EXPECT_NEAR(range("auto")->first, percentile(joined, 1), 1e-9);
  EXPECT_NEAR(range("auto")->second, percentile(joined, 99), 1e-9);
  EXPECT_NEAR(range("percentile:10,75")->first, percentile(joined, 10), 1e-9);
  EXPECT_NEAR(range("percentile:10,75")->second, percentile(joined, 75), 1e-9);
  EXPECT_EQ(range("minmax"), std::pair(2.0, 65535.0));
  EXPECT_EQ(range("window:40,400"), std::nullopt);
  EXPECT_EQ(range("stored"), std::nullopt);
}

TEST_F(SeriesTest, ADamagedSliceDoesNotSpoilTheValueRange) {
  write("a", Place{.position = "0\\0\\0", .values = {1, 2, 3, 4}});
  DicomSet cut = slice({.position = "0\\0\\1", .values = {9, 9, 9, 9}});
  write("b", dicom_file(cut.raw(0x7FE00010, "OW", "xy")));
  EXPECT_EQ(series_value_range(only().slices, {.profile = Profile::parse("minmax")}), std::pair(1.0, 4.0));
}

TEST_F(SeriesTest, ColourHasNoValueRange) {
  DicomSet colour =
      dicom_image({.samples = 3, .allocated = 8, .stored = 8, .photometric = "RGB", .pixels = "abc"});
  write("a", dicom_file(colour));
  EXPECT_EQ(series_value_range(only().slices, {}), std::nullopt);
}

}  // namespace
}  // namespace mii
