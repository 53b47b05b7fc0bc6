#include "pipeline/vector_reader.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>
#include <limits>

#include "core/file.h"
#include "mii/error.h"
#include "pipeline/npy.h"

namespace mii::pipeline {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

const Identity kIdentity{"w", "c", "t", "f32", "profile auto", "0.1.0"};

template <typename Call>
std::string error_of(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

class VectorReaderTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    fs::create_directories(folder_);
    write_rows(2);
  }
  void TearDown() override { fs::remove_all(folder_); }

  // Five rows: their number, and then 0.1.
  void write_rows(size_t dim) const {
    std::vector<VectorSource> sources;
    for (int r = 0; r < 5; ++r)
      sources.push_back({"f\t" + std::to_string(r), VectorSource::State{100u + static_cast<unsigned>(r), r}});
    write_vectors(path_, sources, dim, kIdentity, [dim](size_t row) {
      std::vector<float> values(dim, 0.1f);
      values[0] = static_cast<float>(row);
      return values;
    });
  }
  std::string error_of_reading(size_t part = 100) const {
    return error_of([&] {
      VectorReader reader(path_);
      for (size_t row = 0; row < reader.rows(); row += part) reader.next(part);
    });
  }
  void write(const std::string& suffix, const std::string& text) const {
    std::ofstream(path_.string() + suffix, std::ios::binary) << text;
  }

  fs::path folder_ = fs::temp_directory_path() / ("mii-vector-reader-" + std::to_string(getpid()));
  fs::path path_ = folder_ / GetParam();
};

TEST_P(VectorReaderTest, GivesTheRowsWithTheirSourcesInParts) {
  VectorReader reader(path_);
  EXPECT_EQ(reader.rows(), 5u);
  EXPECT_EQ(reader.dim(), 2u);
  EXPECT_EQ(reader.identity(), kIdentity);
  std::vector<size_t> sizes;
  for (size_t row = 0; sizes.size() < 4; row += sizes.back()) {
    const StoredVectors part = reader.next(2);
    sizes.push_back(part.vectors.rows());
    ASSERT_EQ(part.sources.size(), part.vectors.rows());
    for (size_t r = 0; r < part.sources.size(); ++r) {
      EXPECT_THAT(part.vectors.row(r), ElementsAre(static_cast<float>(row + r), 0.1f));
      EXPECT_EQ(part.sources[r].input, "f\t" + std::to_string(row + r));
      EXPECT_EQ(part.sources[r].state->bytes, 100 + row + r);
    }
  }
  EXPECT_THAT(sizes, ElementsAre(2, 2, 1, 0));
}

TEST_P(VectorReaderTest, PassesOverRows) {
  VectorReader reader(path_);
  reader.skip(3);
  const StoredVectors part = reader.next(1);
  EXPECT_EQ(part.vectors.row(0)[0], 3);
  EXPECT_EQ(part.sources[0].input, "f\t3");
  reader.skip(100);
  EXPECT_EQ(reader.next(1).vectors.rows(), 0u);
}

TEST_P(VectorReaderTest, AFileThatBecomesShorterEndsInAnError) {
  write_rows(10'000);  // more than a stream reads in advance
  VectorReader reader(path_);
  reader.next(1);
  fs::resize_file(path_, fs::file_size(path_) - 1);
  EXPECT_THAT(error_of([&] { reader.next(4); }),
              testing::AnyOf(HasSubstr(std::string(GetParam()) + ": row 4 cannot be read"),
                             HasSubstr("there is no line 5")));
}

TEST_P(VectorReaderTest, AnIndexOfOtherRowsIsRefusedAtTheFirstThatDiffers) {
  write(".index.tsv", "row\tinput\tbytes\tmodified\n0\ta\t\t\n1\tb\t\t\n3\tc\t\t\n2\td\t\t\n4\te\t\t\n");
  EXPECT_THAT(error_of_reading(2), HasSubstr(".index.tsv: where row 2 is expected, there is '3'"));
}

TEST_P(VectorReaderTest, AnIndexOfFewerRowsIsRefusedBeforeTheFirst) {
  write(".index.tsv", "row\tinput\tbytes\tmodified\n0\ta\t\t\n1\tb\t\t\n2\tc");
  EXPECT_THAT(error_of([&] { VectorReader reader(path_); }), HasSubstr("has 5 rows, and its index 2 lines"));
}

TEST_P(VectorReaderTest, ALineWithoutAnEndIsRefused) {
  write(".index.tsv", "row\tinput\tbytes\tmodified\n" + std::string((16 << 20) + 1, 'a') + "\n");
  EXPECT_THAT(error_of_reading(), HasSubstr(".index.tsv: line 2 has more than 16777216 bytes"));
}

INSTANTIATE_TEST_SUITE_P(Formats, VectorReaderTest, testing::Values("v.npy", "v.safetensors", "v.jsonl"),
                         [](const auto& format) { return std::string(format.param).substr(2); });

using NpyReaderTest = VectorReaderTest;

TEST_P(NpyReaderTest, ARowThatIsNotFiniteIsNamedAndThoseBeforeAreRead) {
  for (const float wrong :
       {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(-static_cast<int>(3 * sizeof(float)), std::ios::end);
    file.write(reinterpret_cast<const char*>(&wrong), sizeof wrong);
    file.close();
    VectorReader reader(path_);
    EXPECT_EQ(reader.next(3).vectors.rows(), 3u);
    EXPECT_THAT(error_of([&] { reader.next(2); }), HasSubstr("v.npy: row 3 is not finite"));
  }
}

// Of holes: to read all of it at once would need more memory than machines have.
TEST_P(NpyReaderTest, AFileLargerThanMemoryIsReadInParts) {
  constexpr size_t kRows = 1 << 18, kDim = 1 << 16;
  const std::string header = npy_header({kRows, kDim});
  write("", header);
  std::error_code no_room;
  fs::resize_file(path_, header.size() + kRows * kDim * sizeof(float), no_room);
  if (no_room) GTEST_SKIP() << "no file of 64 GiB of holes here: " << no_room.message();
  std::string index = "row\tinput\tbytes\tmodified\n";
  for (size_t r = 0; r < kRows; ++r) index += std::to_string(r) + "\tf\t\t\n";
  write(".index.tsv", index);
  VectorReader reader(path_);
  EXPECT_EQ(reader.rows(), kRows);
  EXPECT_EQ(reader.next(2).vectors.rows(), 2u);
  reader.skip(kRows - 3);
  EXPECT_EQ(reader.next(2).vectors.rows(), 1u);
}

TEST_P(NpyReaderTest, RowsOfTooManyValuesAreRefused) {
  constexpr size_t kDim = (1 << 16) + 1;
  const std::string header = npy_header({1, kDim});
  write("", header);
  fs::resize_file(path_, header.size() + kDim * sizeof(float));
  EXPECT_THAT(error_of_reading(), HasSubstr("has vectors of 65537 values, at most 65536 are read"));
}

TEST_P(NpyReaderTest, AMatrixByColumnsIsRefused) {
  std::string header = npy_header({2, 2});
  header.replace(header.find("False, "), 7, "True,  ");
  write("", header + std::string(4 * sizeof(float), '\0'));
  EXPECT_THAT(error_of_reading(), HasSubstr("not a float32 matrix as this program writes it"));
}

INSTANTIATE_TEST_SUITE_P(Formats, NpyReaderTest, testing::Values("v.npy"),
                         [](const auto&) { return std::string("npy"); });

using JsonReaderTest = VectorReaderTest;

TEST_P(JsonReaderTest, RowsThatTheFileHasNoRoomForAreRefusedAtOnce) {
  std::string row = "{\"embedding\": [0";
  for (int i = 1; i < 1000; ++i) row += ",0";
  write("", row + "]}\n" + std::string(2000, '\n'));
  EXPECT_THAT(error_of([&] { VectorReader reader(path_); }),
              HasSubstr("too short for 2001 rows of 1000 values"));
}

TEST_P(JsonReaderTest, ADamagedLineIsNamedAndThoseBeforeAreRead) {
  for (const std::string damaged : {"{\"embedding\": [1, \"2\"]}", "{\"embedding\": [1, 2",
                                    "{\"embedding\": [1]}", "{\"embedding\": [1, 1e99]}"}) {
    write("", "{\"embedding\": [1, 2]}\n{\"embedding\": [1, 2]}\n{\"embedding\": [1, 2]}\n" + damaged +
                  "\n{\"embedding\": [1, 2]}\n");
    VectorReader reader(path_);
    EXPECT_EQ(reader.next(3).vectors.rows(), 3u);
    EXPECT_THAT(error_of([&] { reader.next(2); }),
                testing::AnyOf(HasSubstr("v.jsonl:4: "), HasSubstr("v.jsonl: row 3 is not finite")))
        << damaged;
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, JsonReaderTest, testing::Values("v.jsonl"),
                         [](const auto&) { return std::string("jsonl"); });

}  // namespace
}  // namespace mii::pipeline
