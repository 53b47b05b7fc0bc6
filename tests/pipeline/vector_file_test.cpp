#include "pipeline/vector_file.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>

#include "core/file.h"
#include "mii/error.h"
#include "pipeline/vector_reader.h"

namespace mii::pipeline {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const Identity kIdentity{"w", "c", "t", "f32", "profile auto", "0.1.0"};

VectorSource text(const std::string& input) { return {input, std::nullopt}; }

Matrix rows(std::initializer_list<std::initializer_list<float>> values) {
  Matrix m(values.size(), values.begin()->size());
  size_t r = 0;
  for (const auto& row : values) std::ranges::copy(row, m.row(r++).begin());
  return m;
}

class VectorFileTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }

  VectorFile open(bool resume, const Identity& identity = kIdentity) const {
    return {path_, {.dim = 2, .identity = identity, .resume = resume}};
  }
  std::string refusal(const Identity& identity) const {
    try {
      open(true, identity);
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  }

  fs::path folder_ = fs::temp_directory_path() / ("mii-vector-file-" + std::to_string(getpid()));
  fs::path path_ = folder_ / GetParam();
};

TEST_P(VectorFileTest, ReadsBackWhatItWrote) {
  VectorFile file = open(false);
  const VectorSource changed{"b\t\\n\n", VectorSource::State{7, 123456789}};
  file.append({text("a"), changed}, rows({{1, 0}, {0.25f, -3e-7f}}));
  EXPECT_EQ(file.finish({changed, text("none"), text("a")}), 2u);
  const StoredVectors stored = read_vectors(path_);
  ASSERT_EQ(stored.vectors.rows(), 2u);
  EXPECT_EQ(stored.vectors.row(0)[1], -3e-7f);
  EXPECT_EQ(stored.vectors.row(1)[0], 1);
  EXPECT_EQ(stored.sources[0].input, changed.input);
  EXPECT_EQ(stored.sources[0].state, changed.state);
  EXPECT_EQ(stored.sources[1].state, std::nullopt);
  EXPECT_EQ(stored.identity, kIdentity);
  EXPECT_FALSE(fs::exists(path_.string() + ".part"));
}

TEST_P(VectorFileTest, GoesOnWhereARunWasStoppedOrEnded) {
  { open(false).append({text("a")}, rows({{1, 0}})); }
  {
    VectorFile file = open(true);
    EXPECT_TRUE(file.has(text("a")));
    EXPECT_FALSE(file.has(text("b")));
    file.append({text("b")}, rows({{0, 1}}));
    EXPECT_EQ(file.finish({text("a"), text("b")}), 2u);
  }
  VectorFile file = open(true);
  EXPECT_TRUE(file.has(text("b")));
  EXPECT_EQ(file.finish({text("b")}), 1u);
  EXPECT_EQ(read_vectors(path_).vectors.row(0)[1], 1);
}

TEST_P(VectorFileTest, IsBegunAgainByItsOwnIdentityBeforeTheFirstRow) {
  open(false);
  EXPECT_EQ(refusal(kIdentity), "accepted");
}

TEST_P(VectorFileTest, RefusesRowsOfAnotherIdentityAndSaysWhatDiffers) {
  Identity other = kIdentity;
  other.precision = "bf16";
  other.preprocessing = "profile ct-bone";
  open(false);
  EXPECT_THAT(refusal(other), HasSubstr("precision: 'f32', expected 'bf16'; preprocessing: 'profile auto', "
                                        "expected 'profile ct-bone'"));
  open(true).finish({});
  EXPECT_THAT(refusal(other), HasSubstr("precision: 'f32', expected 'bf16'"));
  EXPECT_EQ(refusal(kIdentity), "accepted");
}

TEST_P(VectorFileTest, RefusesWhatDoesNotSayByWhatItWasMade) {
  std::ofstream(path_.string() + ".part").put(' ');
  std::ofstream(path_.string() + ".part.tsv") << "dim 2\n";
  EXPECT_THAT(refusal(kIdentity), HasSubstr("does not say by what it was made"));
  fs::remove(path_.string() + ".part");
  open(false).finish({});
  fs::remove(path_.string() + ".identity.json");
  EXPECT_THAT(refusal(kIdentity), HasSubstr("does not say by what it was made"));
}

TEST_P(VectorFileTest, ForgetsTheRowOfAFileThatHasChanged) {
  const VectorSource before{"f", VectorSource::State{10, 1}}, after{"f", VectorSource::State{10, 2}};
  open(false).append({before}, rows({{1, 0}}));
  VectorFile file = open(true);
  EXPECT_TRUE(file.has(before));
  EXPECT_FALSE(file.has(after));
  file.append({after}, rows({{0, 1}}));
  EXPECT_EQ(file.finish({after}), 1u);
  EXPECT_EQ(read_vectors(path_).vectors.row(0)[1], 1);
}

TEST_P(VectorFileTest, LeavesOutAChangedFileThatCouldNotBeRead) {
  open(false).append({{"f", VectorSource::State{10, 1}}}, rows({{1, 0}}));
  EXPECT_EQ(open(true).finish({{"f", VectorSource::State{11, 2}}}), 0u);
}

TEST_P(VectorFileTest, RefusesDamage) {
  VectorFile file = open(false);
  file.append({text("a")}, rows({{1, 0}}));
  file.finish({text("a")});
  std::ofstream(path_.string() + ".index.tsv") << "row\tinput\n";
  EXPECT_THROW(read_vectors(path_), Error);
  std::ofstream(path_, std::ios::trunc) << "{\"embedding\": 3}\n";
  EXPECT_THROW(read_vectors(path_), Error);
}

INSTANTIATE_TEST_SUITE_P(Formats, VectorFileTest, testing::Values("v.npy", "v.safetensors", "v.jsonl"),
                         [](const auto& format) { return std::string(format.param).substr(2); });

TEST(VectorState, ChangesWithTheFile) {
  const fs::path file = fs::temp_directory_path() / ("mii-vector-state-" + std::to_string(getpid()));
  std::ofstream(file) << "one";
  const auto state = state_of({&file, 1});
  ASSERT_TRUE(state.has_value());
  EXPECT_EQ(state->bytes, 3u);
  fs::last_write_time(file, fs::last_write_time(file) + std::chrono::seconds(1));
  EXPECT_NE(state_of({&file, 1}), state);
  fs::remove(file);
  EXPECT_EQ(state_of({&file, 1}), std::nullopt);
}

}  // namespace
}  // namespace mii::pipeline
