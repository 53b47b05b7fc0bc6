#include "stats/delong.h"

#include <gmock/gmock.h>

#include <cmath>

#include "refusal.h"

namespace mii::stats {
namespace {

const std::vector<float> kScores{0.9f, 0.8f, 0.3f, 0.6f, 0.4f, 0.2f, 0.1f};
const std::vector<float> kOthers{0.7f, 0.2f, 0.4f, 0.6f, 0.5f, 0.1f, 0.3f};
const std::vector<bool> kPositive{true, true, true, false, false, false, false};

template <typename T>
std::vector<T> twice(std::vector<T> values) {
  values.insert(values.end(), values.begin(), values.end());
  return values;
}

TEST(DeLong, AnImageTwiceIsNoSecondPatient) {
  const Groups single = single_cases(kScores.size());
  const Groups patients{twice(single.of_case), single.count};
  const Estimate once = delong_auc(kScores, kPositive, single);
  const Estimate copied = delong_auc(twice(kScores), twice(kPositive), patients);
  EXPECT_NEAR(copied.low, once.low, 1e-14);
  const Estimate believed = delong_auc(twice(kScores), twice(kPositive), single_cases(2 * kScores.size()));
  EXPECT_GT(believed.low, once.low + 0.01);
  EXPECT_NEAR(delong_test(twice(kScores), twice(kOthers), twice(kPositive), patients).p,
              delong_test(kScores, kOthers, kPositive, single).p, 1e-14);
}

TEST(DeLong, PatientsWithBothClassesCountTheirCovariance) {
  // Each patient has a positive and a negative image, and their scores are high together: a draw with more
  // of the high positives has more of the high negatives too, and the AUC stays what it is.
  const std::vector<float> scores{0.9f, 0.8f, 0.7f, 0.6f, 0.5f, 0.4f, 0.3f, 0.2f};
  const std::vector<bool> positive{true, false, true, false, true, false, true, false};
  const Groups patients{{0, 0, 1, 1, 2, 2, 3, 3}, 4};
  // By hand. Placements of positives: 1, 3/4, 1/2, 1/4; of negatives: 1/4, 1/2, 3/4, 1; AUC 5/8.
  // S10 = S01 = (9 + 1 + 1 + 9) / 64 / 3 = 5/48; S11 = -(9 + 1 + 1 + 9) / 64 / 3 = -5/48.
  // Variance = S10 / 4 + S01 / 4 + 2 S11 / 4 = 0; without patients S11 is 0, and it is 5/96.
  const Estimate e = delong_auc(scores, positive, patients);
  EXPECT_DOUBLE_EQ(e.value, 0.625);
  EXPECT_NEAR(e.low, 0.625, 1e-9);
  const Estimate independent = delong_auc(scores, positive, single_cases(8));
  EXPECT_NEAR(independent.high, 1, 1e-12);
  EXPECT_NEAR(independent.low, 0.625 - kNormal975 * std::sqrt(5.0 / 96), 1e-12);
}

TEST(DeLong, EqualRankingsDoNotDiffer) {
  std::vector<float> scaled = kScores;
  for (float& s : scaled) s /= 2;
  const DelongTest same = delong_test(kScores, scaled, kPositive, single_cases(kScores.size()));
  EXPECT_EQ(same.difference.value, 0);
  EXPECT_EQ(same.z, 0);
  EXPECT_EQ(same.p, 1);
}

TEST(DeLong, OneCaseOfAClassHasNoInterval) {
  const Estimate one = delong_auc(std::vector{0.9f, 0.2f, 0.1f}, {true, false, false}, single_cases(3));
  EXPECT_EQ(one.value, 1);
  EXPECT_TRUE(std::isnan(one.low));
  const Estimate none = delong_auc(std::vector{0.9f, 0.2f}, {true, true}, single_cases(2));
  EXPECT_TRUE(std::isnan(none.value));
  const DelongTest test =
      delong_test(std::vector{0.9f, 0.2f}, std::vector{0.9f, 0.2f}, {true, true}, single_cases(2));
  EXPECT_TRUE(std::isnan(test.p));
}

TEST(DeLong, RefusesScoresThatAreNotFinite) {
  EXPECT_THAT(refusal([] {
                delong_auc(std::vector{0.9f, NAN}, {true, false}, single_cases(2));
              }),
              testing::HasSubstr("1 of 2 scores are not finite"));
  EXPECT_THAT(refusal([] {
                delong_auc(std::vector{0.9f, 0.1f}, {true, false}, single_cases(3));
              }),
              testing::HasSubstr("2 scores for groups of 3 cases"));
}

}  // namespace
}  // namespace mii::stats
