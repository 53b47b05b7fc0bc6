#include "pipeline/series_reader.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>

#include "medical/dicom_writer.h"
#include "mii/error.h"

namespace mii::pipeline {
namespace {

namespace fs = std::filesystem;

class SeriesReaderTest : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }

  Slice write(const std::string& name, const std::vector<uint16_t>& values) const {
    const fs::path path = folder_ / name;
    DicomSet set = dicom_image(
        {.cols = static_cast<uint16_t>(values.size()), .modality = "MR", .pixels = numbers(values)});
    const auto data = dicom_file(set);
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(data.data()), static_cast<std::streamsize>(data.size()));
    return {path, 0, 1, std::nullopt};
  }

  static std::vector<std::vector<uint8_t>> greys(SeriesReader& reader, size_t n) {
    std::vector<std::vector<uint8_t>> all;
    const ImageSequence images = reader.images();
    for (size_t i = 0; i < n; ++i) {
      const Image image = images.read(i);
      std::vector<uint8_t> grey;
      for (size_t p = 0; p < image.pixels().size(); p += 3) grey.push_back(image.pixels()[p]);
      all.push_back(grey);
    }
    return all;
  }

  fs::path folder_ = fs::temp_directory_path() / ("mii-series-reader-" + std::to_string(getpid()));
};

TEST_F(SeriesReaderTest, ShowsAllSlicesByTheValuesOfAll) {
  const std::vector<Slice> slices{write("a", {0, 50}), write("b", {100, 100})};
  SeriesReader reader(slices, {.profile = Profile::parse("minmax")});
  reader.prepare();
  EXPECT_EQ(reader.value_range(), std::pair(0.0, 100.0));
  // 50 of 0 to 100 is the middle of the greys; alone, the second slice would be one grey.
  const auto grey = greys(reader, 2);
  EXPECT_EQ(grey[0][0], 0);
  EXPECT_NEAR(grey[0][1], 127.5, 0.5);
  EXPECT_EQ(grey[1][0], 255);
}

TEST_F(SeriesReaderTest, ReadsEachFileOnceWhileThereIsRoom) {
  const std::vector<Slice> slices{write("a", {0, 50}), write("b", {100, 75})};
  SeriesReader keeping(slices, {.profile = Profile::parse("percentile:0,100")});
  keeping.prepare();
  for (const Slice& slice : slices) fs::remove(slice.file);
  EXPECT_EQ(greys(keeping, 2)[1][0], 255);
}

TEST_F(SeriesReaderTest, GivesTheSameImagesWithoutRoom) {
  const std::vector<Slice> slices{write("a", {0, 50}), write("b", {100, 75}), write("c", {7, 9})};
  const DecodeOptions options{.profile = Profile::parse("percentile:10,90")};
  SeriesReader keeping(slices, options), reading(slices, options, 8);
  keeping.prepare();
  reading.prepare();
  EXPECT_EQ(greys(keeping, 3), greys(reading, 3));
}

TEST_F(SeriesReaderTest, DoesNotReadAheadForAProfileThatLooksAtNoValues) {
  const std::vector<Slice> slices{{folder_ / "missing", 0, 1, std::nullopt}, write("b", {100, 75})};
  SeriesReader reader(slices, {.profile = Profile::parse("window:40,400")});
  reader.prepare();
  EXPECT_EQ(reader.value_range(), std::nullopt);
  EXPECT_THROW(reader.images().read(0), Error);
  EXPECT_EQ(reader.images().name(1), slices[1].file.string());
}

}  // namespace
}  // namespace mii::pipeline
