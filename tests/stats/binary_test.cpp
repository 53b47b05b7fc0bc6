#include "stats/binary.h"

#include <gmock/gmock.h>

#include <cmath>

#include "refusal.h"
#include "stats/decision_curve.h"

namespace mii::stats {
namespace {

using testing::HasSubstr;

TEST(RankedScores, AucIsTheShareOfPairsInOrder) {
  // Pairs of positive and negative: 0.8 > 0.6, 0.8 > 0.1, 0.6 = 0.6 (half), 0.6 > 0.1.
  EXPECT_EQ(RankedScores(std::vector{0.8f, 0.6f, 0.6f, 0.1f}, {true, true, false, false}).auc(), 3.5 / 4);
  EXPECT_EQ(RankedScores(std::vector{0.5f, 0.5f}, {true, false}).auc(), 0.5);
  EXPECT_EQ(RankedScores(std::vector{0.1f, 0.9f}, {true, false}).auc(), 0.0);
}

TEST(RankedScores, OneClassHasNoAuc) {
  const RankedScores positives(std::vector{0.1f, 0.9f}, {true, true}), negatives(std::vector{0.1f}, {false}),
      none({}, {});
  EXPECT_TRUE(std::isnan(positives.auc()));
  EXPECT_EQ(positives.average_precision(), 1);
  EXPECT_TRUE(std::isnan(negatives.auc()));
  EXPECT_TRUE(std::isnan(negatives.average_precision()));
  EXPECT_TRUE(std::isnan(none.auc()));
  EXPECT_THAT(refusal([&] { youden_cut(positives.cuts()); }), HasSubstr("of one class only"));
  EXPECT_THAT(refusal([&] { youden_cut(none.cuts()); }), HasSubstr("of one class only"));
}

TEST(RankedScores, RefuseScoresThatAreNotFinite) {
  EXPECT_THAT(refusal([] {
                RankedScores(std::vector{0.1f, NAN, INFINITY}, {true, false, false});
              }),
              HasSubstr("2 of 3 scores are not finite numbers"));
  EXPECT_THAT(refusal([] {
                RankedScores(std::vector{0.1f}, {true, false});
              }),
              HasSubstr("1 scores for 2 cases"));
}

TEST(RankedScores, CutsPassTiesAtOnce) {
  const auto cuts = RankedScores(std::vector{0.9f, 0.5f, 0.5f, 0.1f}, {true, true, false, false}).cuts();
  ASSERT_EQ(cuts.size(), 4u);
  EXPECT_EQ(cuts[0].threshold, INFINITY);
  EXPECT_EQ(cuts[0].counts.sensitivity(), 0);
  EXPECT_TRUE(std::isnan(cuts[0].counts.precision()));
  EXPECT_EQ(cuts[1].counts.sensitivity(), 0.5);
  EXPECT_EQ(cuts[2].threshold, 0.5);
  EXPECT_EQ(cuts[2].counts.sensitivity(), 1);
  EXPECT_EQ(cuts[2].counts.specificity(), 0.5);
  EXPECT_EQ(cuts[3].counts.specificity(), 0);
}

TEST(RankedScores, CountAsOftenAsADrawSays) {
  const std::vector<float> scores{0.9f, 0.7f, 0.7f, 0.4f, 0.2f};
  const std::vector<bool> positive{true, false, true, true, false};
  const std::vector<uint32_t> times{2, 0, 3, 1, 2};
  std::vector<float> repeated;
  std::vector<bool> their;
  for (size_t i = 0; i < scores.size(); ++i) {
    repeated.insert(repeated.end(), times[i], scores[i]);
    their.insert(their.end(), times[i], positive[i]);
  }
  const RankedScores once(scores, positive), written_out(repeated, their);
  EXPECT_EQ(once.auc(times), written_out.auc());
  EXPECT_EQ(once.average_precision(times), written_out.average_precision());
  EXPECT_EQ(once.counts_at(0.7f, times).true_positives, 5u);
  EXPECT_EQ(once.counts_at(0.7f, times).false_positives, 0u);
  EXPECT_EQ(once.counts_at(0.7f, times).true_negatives, 2u);
}

TEST(RankedScores, CornersDrawTheSameCurve) {
  const auto cuts =
      RankedScores(std::vector{0.9f, 0.8f, 0.7f, 0.6f, 0.5f, 0.4f}, {true, true, false, false, true, false})
          .cuts();
  const auto drawn = corners(cuts);
  ASSERT_EQ(drawn.size(), 5u);  // from the origin up, right, up, right
  EXPECT_EQ(drawn[1].threshold, cuts[2].threshold);
  EXPECT_EQ(drawn[2].threshold, cuts[4].threshold);
}

TEST(RankedScores, YoudenTakesTheHighestOfTheBestThresholds) {
  const RankedScores ranked(std::vector{0.9f, 0.8f, 0.3f, 0.2f}, {true, false, true, false});
  EXPECT_EQ(youden_cut(ranked.cuts()).threshold, 0.9f);
  const RankedScores reversed(std::vector{0.9f, 0.1f}, {false, true});
  EXPECT_EQ(youden_cut(reversed.cuts()).threshold, INFINITY);
}

TEST(Wilson, IsTheTextbooksInterval) {
  // Newcombe, Stat Med 17 (1998) 857, table I, method 3: 81/263, 15/148, 0/20, 1/29.
  const auto expect = [](size_t hits, size_t cases, double low, double high) {
    EXPECT_NEAR(wilson(hits, cases).low, low, 5e-5);
    EXPECT_NEAR(wilson(hits, cases).high, high, 5e-5);
  };
  expect(81, 263, 0.2553, 0.3662);
  expect(15, 148, 0.0624, 0.1605);
  expect(0, 20, 0, 0.1611);
  expect(1, 29, 0.0061, 0.1718);
  EXPECT_EQ(wilson(7, 7).high, 1);
  EXPECT_TRUE(std::isnan(wilson(0, 0).value));
}

TEST(PredictiveValues, FollowBayes) {
  // 1 000 people, 10 of them ill: 9 found, 1 missed, 99 false alarms, 891 well.
  EXPECT_NEAR(positive_predictive_value(0.9, 0.9, 0.01), 9.0 / 108, 1e-12);
  EXPECT_NEAR(negative_predictive_value(0.9, 0.9, 0.01), 891.0 / 892, 1e-12);
  EXPECT_TRUE(std::isnan(positive_predictive_value(0, 1, 0.5)));
  EXPECT_TRUE(std::isnan(positive_predictive_value(NAN, 1, 0.5)));
}

TEST(PredictiveValues, RefuseAPrevalenceOfNobodyOrEverybody) {
  for (const double prevalence : {0.0, 1.0, -0.1, 1.5, static_cast<double>(NAN)}) {
    EXPECT_THAT(refusal([&] { positive_predictive_value(1, 1, prevalence); }),
                HasSubstr("above 0 and below 1"));
    EXPECT_THAT(refusal([&] { negative_predictive_value(1, 1, prevalence); }),
                HasSubstr("above 0 and below 1"));
    EXPECT_THAT(refusal([&] {
                  decision_curve(RankedScores(std::vector{0.5f}, {true}), std::vector{0.5}, prevalence);
                }),
                HasSubstr("prevalence is above 0 and below 1"));
  }
}

TEST(DecisionCurve, RefusesThresholdsWithoutOdds) {
  const RankedScores ranked(std::vector{0.5f, 0.2f}, {true, false});
  for (const double threshold : {0.0, 1.0})
    EXPECT_THAT(refusal([&] { decision_curve(ranked, std::vector{threshold}, 0.5); }),
                HasSubstr("threshold is above 0 and below 1"));
}

TEST(DecisionCurve, OneClassHasNone) {
  const auto curve =
      decision_curve(RankedScores(std::vector{0.5f, 0.2f}, {true, true}), std::vector{0.3}, 0.5);
  EXPECT_TRUE(std::isnan(curve[0].model));
  EXPECT_TRUE(std::isnan(curve[0].treat_all));
}

}  // namespace
}  // namespace mii::stats
