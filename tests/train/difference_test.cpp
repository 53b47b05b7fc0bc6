#include "train/difference.h"

#include <gmock/gmock.h>

#include <cmath>
#include <numeric>

namespace mii {
namespace {

using Right = std::vector<std::optional<bool>>;

Scores scores(std::vector<Right> right) {
  Scores made;
  made.right = std::move(right);
  return made;
}

std::vector<int32_t> alone(size_t images) {
  std::vector<int32_t> groups(images);
  std::iota(groups.begin(), groups.end(), 0);
  return groups;
}

TEST(PairedDifference, OfEqualScoresIsZeroAndCertain) {
  const Scores some = scores({{true, false, true, std::nullopt}});
  const Difference d = paired_difference(some, some, alone(4));
  EXPECT_EQ(d.value, 0);
  EXPECT_EQ(d.low, 0);
  EXPECT_EQ(d.high, 0);
}

TEST(PairedDifference, IsTheMeanOverFieldsOfWhatTheSecondHasMore) {
  const Scores first = scores({{false, false, true, false}, {true, true, std::nullopt, std::nullopt}});
  const Scores second = scores({{true, false, true, false}, {true, false, std::nullopt, std::nullopt}});
  EXPECT_DOUBLE_EQ(paired_difference(first, second, alone(4)).value, (0.25 - 0.5) / 2);
}

// n images, of which a share p is won and the rest unchanged: the mean of a draw has the standard deviation
// sqrt(p (1 - p) / n). The ends of the interval are drawn themselves, with an error of about
// sqrt(0.025 * 0.975 / 2000) / 0.058 = 6 % of it (0.058: the density of the normal distribution there), and
// means come in steps of 1 / n.
TEST(PairedDifference, IntervalIsThatOfTheNormalApproximation) {
  constexpr size_t kImages = 400;
  Right before(kImages, false), after(kImages, false);
  for (size_t i = 0; i < kImages / 5; ++i) after[i] = true;
  const Difference d = paired_difference(scores({before}), scores({after}), alone(kImages));
  const double deviation = std::sqrt(0.2 * 0.8 / kImages);
  const double error = 3 * 0.06 * deviation + 1.0 / kImages;
  EXPECT_DOUBLE_EQ(d.value, 0.2);
  EXPECT_NEAR(d.low, 0.2 - 1.96 * deviation, error);
  EXPECT_NEAR(d.high, 0.2 + 1.96 * deviation, error);
}

// One of two patients is won altogether: a draw has it twice, once or not at all.
TEST(PairedDifference, DrawsPatientsWhole) {
  Right before(20, false), after(20, false);
  std::vector<int32_t> patients(20);
  for (size_t i = 0; i < 10; ++i) {
    after[i] = true;
    patients[i] = 7;
  }
  const Difference d = paired_difference(scores({before}), scores({after}), patients);
  EXPECT_EQ(d.low, 0);
  EXPECT_EQ(d.value, 0.5);
  EXPECT_EQ(d.high, 1);
}

TEST(ValidationGroups, KeepPatientsTogetherAndTheUnknownApart) {
  Pack pack;
  for (const int32_t patient : {3, -1, 3, -1}) {
    pack.images.push_back({.validation = true, .patient = patient});
    pack.images.push_back({.validation = false, .patient = 5});
  }
  const std::vector<int32_t> groups = validation_groups(pack);
  ASSERT_EQ(groups.size(), 4u);
  EXPECT_EQ(groups[0], groups[2]);
  EXPECT_NE(groups[1], groups[3]);
  EXPECT_NE(groups[0], groups[1]);
}

}  // namespace
}  // namespace mii
