#include "train/data.h"

#include <gmock/gmock.h>

#include "image/encode_jpeg.h"
#include "mii/error.h"
#include "dataset/captions.h"
#include "small_model.h"
#include "train/balance.h"

namespace mii {
namespace {

TEST(DrawShares, BalanceFieldByField) {
  const std::vector<std::string> sets{"CT\tchest", "CT\thead", "MR\thead", "MR\t", "US\tliver"};
  // CT and MR, 100 images each, are drawn equally often, however many values the next field has; so are MR's
  // two values. US has no images.
  const auto alike = draw_shares(sets, {90, 10, 1, 99, 0}, 0);
  EXPECT_THAT(alike, testing::Pointwise(testing::DoubleEq(), {0.25, 0.25, 0.25, 0.25, 0.0}));
  const auto as_they_are = draw_shares(sets, {90, 10, 1, 99, 0}, 1);
  EXPECT_THAT(as_they_are, testing::Pointwise(testing::DoubleEq(), {0.45, 0.05, 0.005, 0.495, 0.0}));
  const auto roots = draw_shares(sets, {64, 0, 9, 16, 0}, 0.5);
  EXPECT_THAT(roots, testing::Pointwise(testing::DoubleNear(1e-12),
                                        {8.0 / 13, 0.0, 5.0 / 13 * 3 / 7, 5.0 / 13 * 4 / 7, 0.0}));
}

TEST(View, GrowsToTheFullSize) {
  const ViewSchedule schedule{.width = 128, .height = 128, .start = 0.5};
  const View first = view_at(schedule, 0), later = view_at(schedule, 0.32), last = view_at(schedule, 0.8);
  EXPECT_EQ(std::pair(first.width, first.height), std::pair(64, 64));
  EXPECT_EQ(std::pair(later.width, later.height), std::pair(96, 96));
  EXPECT_EQ(std::pair(last.width, last.height), std::pair(128, 128));
  EXPECT_FLOAT_EQ(later.strength, 0.7f);
  EXPECT_FLOAT_EQ(later.grey, 0.35f);
  // Sides that are not a multiple of the step, or are shorter than it.
  const ViewSchedule flat{.width = 150, .height = 20, .start = 0.2};
  EXPECT_EQ(view_at(flat, 1).width, 150);
  EXPECT_EQ(view_at(flat, 0).width, 32);
  EXPECT_EQ(view_at(flat, 0).height, 20);
}

TEST(View, GentlerOnesLoseTheirColourAsOften) {
  const ViewSchedule schedule{.width = 128, .height = 128, .strength = 0.5, .start = 0.6};
  const View gentle = view_at(schedule, 0.4);
  EXPECT_FLOAT_EQ(gentle.strength, 0.4f);
  EXPECT_FLOAT_EQ(gentle.grey, 0.4f);
}

TEST(View, StrengthFallsToItsEnd) {
  const ViewSchedule schedule{.width = 128, .height = 128, .strength = 0.5, .end = 0.4};
  EXPECT_FLOAT_EQ(view_at(schedule, 0).strength, 0.5f);
  EXPECT_FLOAT_EQ(view_at(schedule, 0.5).strength, 0.35f);
  EXPECT_FLOAT_EQ(view_at(schedule, 1).strength, 0.2f);
  EXPECT_FLOAT_EQ(view_at(schedule, 1).grey, 0.5f);
}

// A pack of one training image, a disc; the validation image may be a cross. Both are words; cross is listed
// as a distractor.
Pack discs_and_crosses() {
  const CaptionRules rules{.fields = {"shape"},
                           .templates = {"{shape}"},
                           .synonyms = {},
                           .broader = {},
                           .distractors = {{"shape", {"cross"}}}};
  const Composition composition = compose(rules, {{"disc"}, {"cross"}}, 10);
  Pack pack;
  pack.model = ModelConfig::parse(kSmallConfig, "config.yaml");
  pack.fields = rules.fields;
  pack.truth = composition.truth;
  pack.label_sets = {"disc", "cross"};
  for (const ComposedConcept& c : composition.concepts) {
    pack.captions.push_back({static_cast<int32_t>(pack.concepts.size()), {1, 2, 3}});
    pack.concepts.push_back(c.about);
  }
  const std::vector<uint8_t> grey(32 * 32 * 3, 100);
  pack.images.push_back({false, 0, encode_jpeg(Image::from_rgb(32, 32, grey), 90)});
  pack.images.push_back({true, 1, encode_jpeg(Image::from_rgb(32, 32, grey), 90)});
  return pack;
}

TEST(Data, WordsThatOnlyValidationImagesHaveAreWrongAnswersToo) {
  const Pack pack = discs_and_crosses();
  const Data data(pack, 4, 1, 1);
  ASSERT_EQ(data.labels().size(), 1u);
  EXPECT_EQ(pack.concepts[static_cast<size_t>(data.labels().front())].name, "disc");
  const Batch batch = data.batch(0, view_at({.width = 32, .height = 32}, 0));
  ASSERT_EQ(batch.captions, 5);  // of four images, and a distractor
  EXPECT_TRUE(torch::equal(batch.truth[0], torch::tensor({1, 1, 1, 1, 0, 1}, torch::kUInt8)));
  EXPECT_EQ(batch.field_texts, (std::vector<std::vector<int64_t>>{{4, 5}}));
  EXPECT_EQ(data.field_labels(), (std::vector<std::vector<int64_t>>{{0}}));
  EXPECT_TRUE(torch::equal(batch.label_truth, torch::ones({4, 1}, torch::kUInt8)));
}

TEST(Data, OfADamagedImageTheNumberIsSaid) {
  Pack pack = discs_and_crosses();
  pack.images[1].jpeg.resize(2);
  const Data data(pack, 4, 1, 1);
  EXPECT_NO_THROW(data.plain({0, 1}, 0, 1, 1));
  try {
    data.plain({0, 1}, 0, 2, 2);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("image 1 of the pack: no readable JPEG"));
  }
}

}  // namespace
}  // namespace mii
