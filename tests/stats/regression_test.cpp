#include "stats/regression.h"

#include <gmock/gmock.h>

#include <cmath>

#include "refusal.h"

namespace mii::stats {
namespace {

using testing::HasSubstr;

TEST(Regression, CountsAsOftenAsADrawSays) {
  const auto drawn = regression_errors(std::vector{1.0f, 5.0f, 9.0f}, std::vector{2.0f, 5.0f, 0.0f},
                                       std::vector<uint32_t>{2, 1, 0});
  const auto written_out = regression_errors(std::vector{1.0f, 1.0f, 5.0f}, std::vector{2.0f, 2.0f, 5.0f});
  EXPECT_EQ(drawn.mae, written_out.mae);
  EXPECT_EQ(drawn.r2, written_out.r2);
  EXPECT_EQ(drawn.limit_low, written_out.limit_low);
}

TEST(Regression, WhatIsNotDefinedIsNaN) {
  const auto constant = regression_errors(std::vector{1.0f, 3.0f}, std::vector{2.0f, 2.0f});
  EXPECT_TRUE(std::isnan(constant.r2));
  EXPECT_EQ(constant.rmse, 1);
  const auto one = regression_errors(std::vector{1.0f}, std::vector{2.0f});
  EXPECT_EQ(one.bias, -1);
  EXPECT_TRUE(std::isnan(one.limit_low));
  EXPECT_TRUE(std::isnan(regression_errors({}, {}).mae));
}

TEST(Regression, RefusesValuesThatAreNotFinite) {
  EXPECT_THAT(refusal([] { regression_errors(std::vector{NAN}, std::vector{2.0f}); }),
              HasSubstr("1 of 1 predictions are not finite"));
  EXPECT_THAT(refusal([] { regression_errors(std::vector{1.0f}, std::vector{INFINITY}); }),
              HasSubstr("1 of 1 true values are not finite"));
  EXPECT_THAT(refusal([] { regression_errors(std::vector{1.0f}, {}); }),
              HasSubstr("1 predictions for 0 cases"));
}

}  // namespace
}  // namespace mii::stats
