// Profiles by name, and what "auto" decides for each kind of image.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mii/error.h"

#include "medical/present.h"

namespace mii {
namespace {

using testing::HasSubstr;

TEST(ProfileParse, TakesEveryForm) {
  using Kind = Profile::Kind;
  EXPECT_EQ(Profile::parse("auto").kind, Kind::automatic);
  EXPECT_EQ(Profile::parse("voi").kind, Kind::voi);
  EXPECT_EQ(Profile::parse("stored").kind, Kind::stored);
  EXPECT_EQ(Profile::parse("minmax").kind, Kind::minmax);
  const Profile percentile = Profile::parse("percentile:0.5,99.5");
  EXPECT_EQ(percentile.kind, Kind::percentile);
  EXPECT_EQ(percentile.low, 0.5);
  EXPECT_EQ(percentile.high, 99.5);
  EXPECT_EQ(percentile.name, "percentile:0.5,99.5");
  EXPECT_EQ(Profile::parse("percentile:0,100").high, 100);
  const Profile window = Profile::parse("window:-600,1500.5");
  EXPECT_EQ(window.kind, Kind::window);
  EXPECT_EQ(window.window.center, -600);
  EXPECT_EQ(window.window.width, 1500.5);
  EXPECT_EQ(window.window.function, VoiFunction::linear);
  EXPECT_EQ(Profile::parse("window:0,1").window.width, 1);
}

TEST(ProfileParse, KnowsTheFieldsWindows) {
  const std::vector<std::tuple<const char*, double, double>> expected = {
      {"ct-soft-tissue", 40, 400}, {"ct-lung", -600, 1500}, {"ct-bone", 480, 2500},
      {"ct-brain", 40, 80},        {"ct-liver", 90, 150},   {"ct-mediastinum", 50, 350}};
  EXPECT_EQ(Profile::presets().size(), expected.size());
  for (const auto& [name, center, width] : expected) {
    const Profile profile = Profile::parse(name);
    EXPECT_EQ(profile.kind, Profile::Kind::window) << name;
    EXPECT_EQ(profile.window.center, center) << name;
    EXPECT_EQ(profile.window.width, width) << name;
  }
}

TEST(ProfileParse, ListsWhatThereIsForWrongOnes) {
  for (const char* text : {"",
                           "Auto",
                           "ct",
                           "ct-",
                           "window",
                           "window:",
                           "window:40",
                           "window:40,",
                           "window:,400",
                           "window:a,b",
                           "window:40,400,1",
                           "window:40,0.5",
                           "window:40,0",
                           "window:40,-1",
                           "window:nan,400",
                           "window:40,inf",
                           "window: 40,400",
                           "percentile",
                           "percentile:",
                           "percentile:1",
                           "percentile:99,1",
                           "percentile:1,1",
                           "percentile:-1,99",
                           "percentile:1,101",
                           "percentile:1;99",
                           "percentile:nan,99",
                           "stored ",
                           "minmax:1"}) {
    try {
      Profile::parse(text);
      ADD_FAILURE() << "'" << text << "' was taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::invalid_argument) << text;
      EXPECT_THAT(error.what(), HasSubstr(std::string("'") + text + "'"));
      EXPECT_THAT(error.what(),
                  HasSubstr("auto, voi, stored, minmax, percentile:LOW,HIGH, window:CENTER,WIDTH, "
                            "ct-soft-tissue, ct-lung, ct-bone, ct-brain, ct-liver, ct-mediastinum"));
    }
  }
}

GreyFrame frame_of(int bits) { return {.rows = 1, .cols = 3, .integers = {0, 10, 20}, .bits_stored = bits}; }

const std::vector<VoiWindow> kWindow{{100, 50, VoiFunction::sigmoid}, {1, 2, VoiFunction::linear}};
const std::vector<LookupTable> kTable{{0, {1, 2}, 8}};

// "window 40/400", say.
std::string chosen(const std::string& profile, const DisplayHints& hints, int bits = 12) {
  const ChosenMapping chosen = choose_mapping(Profile::parse(profile), frame_of(bits), hints);
  std::string text = chosen.applied;
  if (const auto* window = std::get_if<VoiWindow>(&chosen.mapping))
    text += " " + std::to_string(static_cast<int>(window->center)) + "/" +
            std::to_string(static_cast<int>(window->width));
  return text;
}

TEST(ProfileAuto, CtTakesTheFilesWindowElseThatOfItsBodyPart) {
  EXPECT_EQ(chosen("auto", {.modality = "CT", .windows = kWindow}), "voi-window 100/50");
  EXPECT_EQ(chosen("auto", {.modality = "CT", .body_part = "HEAD", .windows = kWindow}), "voi-window 100/50");
  EXPECT_EQ(chosen("auto", {.modality = "CT", .voi_tables = kTable}), "voi-lut");
  const std::vector<std::pair<std::string, std::string>> windows = {
      {"", "window 40/400"},        {"ABDOMEN", "window 40/400"}, {"HEAD", "window 40/80"},
      {"BRAIN", "window 40/80"},    {"CHEST", "window 50/350"},   {"THORAX", "window 50/350"},
      {"LUNG", "window -600/1500"}, {"LIVER", "window 90/150"},   {"CSPINE", "window 480/2500"},
      {"KNEE", "window 480/2500"}};
  for (const auto& [part, window] : windows)
    EXPECT_EQ(chosen("auto", {.modality = "CT", .body_part = part}), window) << part;
}

TEST(ProfileAuto, MeasuredGreysWithoutAScaleTakePercentiles) {
  for (const char* modality : {"MR", "PT", "NM", "XA", "OT", ""}) {
    EXPECT_EQ(chosen("auto", {.modality = modality}), "percentile") << modality;
    EXPECT_EQ(chosen("auto", {.modality = modality, .windows = kWindow}), "percentile") << modality;
  }
}

TEST(ProfileAuto, ProjectionsTakeTheFilesVoiElsePercentiles) {
  for (const char* modality : {"CR", "DX", "MG", "RG", "PX", "IO"}) {
    EXPECT_EQ(chosen("auto", {.modality = modality}), "percentile") << modality;
    EXPECT_EQ(chosen("auto", {.modality = modality, .windows = kWindow}), "voi-window 100/50") << modality;
    EXPECT_EQ(chosen("auto", {.modality = modality, .voi_tables = kTable}), "voi-lut") << modality;
  }
}

TEST(ProfileAuto, UltrasoundAndPhotographsStayAsStored) {
  EXPECT_EQ(chosen("auto", {.modality = "US", .windows = kWindow}, 8), "stored");
  EXPECT_EQ(chosen("auto", {.modality = "US"}, 16), "stored");
  for (const char* modality : {"ES", "GM", "SM", "OP", "XC"}) {
    EXPECT_EQ(chosen("auto", {.modality = modality}, 8), "stored") << modality;
    EXPECT_EQ(chosen("auto", {.modality = modality}, 12), "percentile") << modality;
  }
}

TEST(ProfileVoi, TakesATableBeforeAWindowAndNeedsOneOfThem) {
  EXPECT_EQ(chosen("voi", {.modality = "MR", .windows = kWindow, .voi_tables = kTable}), "voi-lut");
  EXPECT_EQ(chosen("voi", {.modality = "MR", .windows = kWindow}), "voi-window 100/50");
  try {
    chosen("voi", {.modality = "CT"});
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_image);
    EXPECT_THAT(error.what(), HasSubstr("'voi' needs a window or VOI LUT"));
  }
}

TEST(Profile, ANamedProfileIsTakenWhateverTheFileSays) {
  const DisplayHints hints{.modality = "CT", .body_part = "HEAD", .windows = kWindow, .voi_tables = kTable};
  EXPECT_EQ(chosen("window:1,2", hints), "window 1/2");
  EXPECT_EQ(chosen("ct-bone", hints), "window 480/2500");
  EXPECT_EQ(chosen("minmax", hints), "minmax");
  EXPECT_EQ(chosen("percentile:5,95", hints), "percentile");
  EXPECT_EQ(chosen("stored", hints), "stored");
}

TEST(Profile, ASeriesRangeReplacesTheFramesOwn) {
  DisplayHints hints{.modality = "MR"};
  const auto range = [&](const char* profile) {
    return std::get<ValueRange>(choose_mapping(Profile::parse(profile), frame_of(12), hints).mapping);
  };
  EXPECT_EQ(range("minmax").high, 20);
  hints.series_range = {-5, 500};
  for (const char* profile : {"auto", "minmax", "percentile:10,90"}) {
    EXPECT_EQ(range(profile).low, -5) << profile;
    EXPECT_EQ(range(profile).high, 500) << profile;
  }
  EXPECT_EQ(chosen("window:1,2", hints), "window 1/2");
}

TEST(Profile, OnlyThoseThatLookAtValuesAskForASeriesRange) {
  const auto asks = [](const char* profile, const DisplayHints& hints) {
    return value_profile(Profile::parse(profile), frame_of(12), hints).has_value();
  };
  EXPECT_TRUE(asks("auto", {.modality = "MR"}));
  EXPECT_FALSE(asks("auto", {.modality = "CT"}));
  EXPECT_FALSE(asks("auto", {.modality = "US"}));
  EXPECT_TRUE(asks("minmax", {.modality = "CT"}));
  EXPECT_TRUE(asks("percentile:1,99", {.modality = "CT"}));
  EXPECT_FALSE(asks("voi", {.modality = "MR", .windows = kWindow}));
  EXPECT_FALSE(asks("stored", {.modality = "MR"}));
}

TEST(Profile, RealNumbersHaveNoStoredRange) {
  const GreyFrame frame{.rows = 1, .cols = 2, .reals = {-0.5, 2.5}};
  const ChosenMapping chosen = choose_mapping(Profile::parse("stored"), frame, {});
  EXPECT_EQ(chosen.applied, "minmax");
  EXPECT_EQ(std::get<ValueRange>(chosen.mapping).low, -0.5);
  EXPECT_EQ(std::get<ValueRange>(chosen.mapping).high, 2.5);
}

}  // namespace
}  // namespace mii
