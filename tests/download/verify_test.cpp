#include "download/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "mii/error.h"

namespace mii {
namespace {

namespace fs = std::filesystem;
using State = VerifiedFile::State;

const fs::path kTokenizer = fs::path(MII_TEST_DATA) / "golden/full/language_model/clip_tokenizer_4.16.2";

class VerifyFiles : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_ / "language_model/clip_tokenizer_4.16.2"); }
  void TearDown() override { fs::remove_all(folder_); }

  State state_of(const std::string& name) const {
    for (const VerifiedFile& file : verify_files(folder_))
      if (fs::path(file.path).filename() == name) return file.state;
    ADD_FAILURE() << name << " is not looked at";
    return State::missing;
  }

  const fs::path folder_ = fs::temp_directory_path() / ("mii-verify-test-" + std::to_string(getpid()));
};

TEST_F(VerifyFiles, CopiesOfThePublishedTokenizerAreRight) {
  fs::copy(kTokenizer, folder_ / "language_model/clip_tokenizer_4.16.2");
  for (const char* name : {"vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json"})
    EXPECT_EQ(state_of(name), State::right) << name;
  EXPECT_EQ(state_of("config.yaml"), State::missing);
  EXPECT_EQ(state_of("medimageinsigt-v1.0.0.pt"), State::missing);
}

TEST_F(VerifyFiles, AByteMoreDiffers) {
  fs::copy(kTokenizer, folder_ / "language_model/clip_tokenizer_4.16.2");
  std::ofstream(folder_ / "language_model/clip_tokenizer_4.16.2/merges.txt", std::ios::app) << "x";
  EXPECT_EQ(state_of("merges.txt"), State::differs);
}

TEST_F(VerifyFiles, NoFolderIsAnError) { EXPECT_THROW(verify_files(folder_ / "nothing"), Error); }

TEST_F(VerifyFiles, StopsWhenAsked) {
  std::ofstream(folder_ / "config.yaml") << "x";
  EXPECT_THROW(verify_files(folder_, [] { return true; }), Error);
}

}  // namespace
}  // namespace mii
