#include "stats/calibration.h"

#include <gmock/gmock.h>

#include <cmath>

#include "refusal.h"

namespace mii::stats {
namespace {

using testing::HasSubstr;

TEST(Reliability, BinsHoldTheirUpperEdge) {
  const auto bins = reliability(std::vector{0.0f, 0.5f, 0.75f, 1.0f}, {false, true, true, true}, 2);
  ASSERT_EQ(bins.size(), 2u);
  EXPECT_EQ(bins[0].cases, 2u);
  EXPECT_EQ(bins[0].mean_probability, 0.25);
  EXPECT_EQ(bins[0].share_true, 0.5);
  EXPECT_EQ(bins[1].cases, 2u);
  EXPECT_EQ(expected_calibration_error(bins), (0.25 + 0.125) / 2);
}

TEST(Reliability, EmptyBinsTakeNoPart) {
  const auto bins = reliability(std::vector{0.95f}, {true});
  EXPECT_TRUE(std::isnan(bins[0].mean_probability));
  EXPECT_NEAR(expected_calibration_error(bins), 0.05, 1e-7);
  EXPECT_TRUE(std::isnan(expected_calibration_error(reliability({}, {}))));
}

TEST(Reliability, RefusesWhatIsNoProbability) {
  for (const float wrong : {-0.1f, 1.5f, static_cast<float>(NAN)}) {
    EXPECT_THAT(refusal([&] {
                  reliability(std::vector{wrong, 0.5f}, {true, true});
                }),
                HasSubstr("1 of 2 probabilities are not numbers from 0 to 1"));
    EXPECT_THAT(refusal([&] { brier_score(std::vector{wrong}, {true}); }), HasSubstr("1 of 1 probabilities"));
  }
  EXPECT_THAT(refusal([] { reliability(std::vector{0.5f}, {true}, 0); }), HasSubstr("at least one bin"));
  EXPECT_THAT(refusal([] { brier_score(std::vector{0.5f}, {}); }), HasSubstr("1 probabilities for 0 cases"));
}

TEST(Brier, IsTheMeanSquareAndCountsDraws) {
  EXPECT_EQ(brier_score(std::vector{0.5f, 0.5f}, {true, false}), 0.25);
  EXPECT_EQ(brier_score(std::vector{1.0f, 1.0f}, {true, false}, std::vector<uint32_t>{3, 1}), 0.25);
  EXPECT_TRUE(std::isnan(brier_score({}, {})));
}

}  // namespace
}  // namespace mii::stats
