#include "weights/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "golden.h"

namespace mii {
namespace {

using testing::HasSubstr;

std::string tiny() { return read_text_file(golden_folder() / "tiny-a" / "config.yaml", 1 << 20); }

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(Config, ReadsThePublishedSizes) {
  const ModelConfig c = ModelConfig::read(golden_folder() / "full" / "config.yaml");
  ASSERT_EQ(c.image.stages.size(), 4u);
  EXPECT_EQ(c.image.stages[3].dim, 2048);
  EXPECT_EQ(c.image.stages[2].depth, 9);
  EXPECT_EQ(c.image.window_size, 12);
  EXPECT_EQ(stage_grids(c.image)[0].tokens(), 14400);
  EXPECT_EQ(stage_grids(c.image)[3].tokens(), 225);
  EXPECT_EQ(c.text.layers, 16);
  EXPECT_FALSE(c.text.causal);
}

TEST(Config, WidthComesFirst) {
  const ModelConfig c = ModelConfig::read(golden_folder() / "tiny-b" / "config.yaml");
  EXPECT_EQ(c.image.width, 104);
  EXPECT_EQ(c.image.height, 76);
}

TEST(Config, MissingKeysTakeTheReferencesDefaults) {
  const ModelConfig c = ModelConfig::parse(
      replaced(replaced(tiny(), "    WINDOW_SIZE: 4\n", ""), "  AUTOGRESSIVE: false\n", ""), "c");
  EXPECT_EQ(c.image.window_size, 7);
  EXPECT_TRUE(c.text.causal);
}

struct Change {
  const char* from;
  const char* to;
  const char* named;
};
void PrintTo(const Change& change, std::ostream* out) { *out << change.to; }  // NOLINT: gtest's name

class WrongConfig : public testing::TestWithParam<Change> {};
TEST_P(WrongConfig, NamesTheKey) {
  try {
    ModelConfig::parse(replaced(tiny(), GetParam().from, GetParam().to), "config.yaml");
    ADD_FAILURE() << "accepted";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::invalid_model);
    EXPECT_THAT(e.what(), HasSubstr(GetParam().named));
    EXPECT_THAT(e.what(), HasSubstr("config.yaml"));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Cases, WrongConfig,
    testing::Values(Change{"DIM_PROJECTION: 48", "DIM_PROJECTION: many", "DIM_PROJECTION"},
                    Change{"DIM_PROJECTION: 48", "DIM_PROJECTION: 0", "DIM_PROJECTION"},
                    Change{"DIM_PROJECTION: 48", "DIM_PROJECTION: 99999999999999999999", "DIM_PROJECTION"},
                    Change{"  DIM_PROJECTION: 48\n", "", "DIM_PROJECTION"},
                    Change{"    - 32\n", "    - 33\n", "NUM_"},
                    Change{"    DIM_EMBED:\n    - 16\n", "    DIM_EMBED:\n", "DEPTHS"},
                    Change{"TOKENIZER: clip", "TOKENIZER: bert", "TOKENIZER"},
                    Change{"INTERPOLATION: bicubic", "INTERPOLATION: bilinear", "INTERPOLATION"},
                    Change{"CENTER_CROP: false", "CENTER_CROP: true", "CENTER_CROP"},
                    Change{"WINDOW_SIZE: 4", "WINDOW_SIZE: -4", "WINDOW_SIZE"},
                    Change{"WINDOW_SIZE: 4", "STANDPARAM: false", "STANDPARAM"},
                    Change{"  - 96\n  - 96", "  - 96", "IMAGE_SIZE"},
                    Change{"  - 0.229", "  - 0", "IMAGE_STD"}, Change{"  HEADS: 4", "  HEADS: 3", "HEADS"},
                    Change{"VERBOSE: true", "{", "YAML"},
                    Change{"  - 96\n  - 96", "  - 1\n  - 1000000", "IMAGE_SIZE"}));

}  // namespace
}  // namespace mii
