#include "stats/bootstrap.h"

#include <gmock/gmock.h>

#include <cmath>

#include "refusal.h"

namespace mii::stats {
namespace {

// The share of the cases before `n` among all that count.
Figures share_before(size_t n, size_t cases) {
  return [=](Multiplicities times, std::span<double> figures) {
    double before = 0, all = 0;
    for (size_t i = 0; i < cases; ++i) {
      before += i < n ? multiplicity(times, i) : 0;
      all += multiplicity(times, i);
    }
    figures[0] = before / all;
  };
}

TEST(Bootstrap, DrawsWholePatients) {
  // Ten images of one patient, all right, and ten of another, all wrong: a mean over patients is 0, 1/2 or 1.
  std::vector<std::string> names(10, "a");
  names.resize(20, "b");
  const Groups groups = make_groups(names);
  const Estimate e = bootstrap(groups, 1, {.resamples = 500}, share_before(10, 20)).front();
  EXPECT_DOUBLE_EQ(e.value, 0.5);
  EXPECT_DOUBLE_EQ(e.low, 0);
  EXPECT_DOUBLE_EQ(e.high, 1);
  EXPECT_EQ(bootstrap(groups, 1, {.resamples = 500}, share_before(10, 20)).front().low, e.low);
}

TEST(Bootstrap, IntervalOfAShareIsTheBinomials) {
  // 40 of 100 single cases: the standard error of the share is sqrt(0.4 * 0.6 / 100) = 0.049. With 20 000
  // draws the percentiles are known to 0.0015 (three standard errors of a percentile), and shares are
  // multiples of 0.01.
  const Estimate e = bootstrap(single_cases(100), 1, {.resamples = 20000}, share_before(40, 100)).front();
  EXPECT_NEAR(e.low, 0.4 - kNormal975 * 0.049, 0.0115);
  EXPECT_NEAR(e.high, 0.4 + kNormal975 * 0.049, 0.0115);
}

TEST(Bootstrap, LeavesOutDrawsWithoutTheFigure) {
  // Without the first case there is no figure; with it, it is 1.
  const auto figure = [](Multiplicities times, std::span<double> figures) {
    figures[0] = multiplicity(times, 0) > 0 ? 1 : NAN;
    figures[1] = NAN;
  };
  const auto estimates = bootstrap(single_cases(3), 2, {.resamples = 200}, figure);
  EXPECT_EQ(estimates[0].low, 1);
  EXPECT_EQ(estimates[0].high, 1);
  EXPECT_TRUE(std::isnan(estimates[1].low));
}

TEST(Bootstrap, NoDrawsAndNoCasesHaveNoInterval) {
  const Estimate none = bootstrap(single_cases(4), 1, {.resamples = 0}, share_before(2, 4)).front();
  EXPECT_DOUBLE_EQ(none.value, 0.5);
  EXPECT_TRUE(std::isnan(none.low));
  EXPECT_TRUE(std::isnan(bootstrap(single_cases(0), 1, {}, share_before(0, 0)).front().low));
}

TEST(Bootstrap, DifferencesArePaired) {
  // Two figures that are equal in every draw differ by nothing, however wide their own intervals are.
  JointFigures figures;
  const auto share = [](Multiplicities times) { return multiplicity(times, 0) / 2.0; };
  const size_t first = figures.add(share), second = figures.add(share);
  const size_t difference = figures.add_difference(first, second);
  const auto estimates = figures.estimate(single_cases(2), {.resamples = 100});
  EXPECT_LT(estimates[first].low, estimates[first].high);
  EXPECT_EQ(estimates[difference].low, 0);
  EXPECT_EQ(estimates[difference].high, 0);
}

TEST(Bootstrap, PassesErrorsOn) {
  const auto fails = [](Multiplicities times, std::span<double>) {
    if (!times.empty()) throw Error(ErrorCode::invalid_argument, "no such figure");
  };
  EXPECT_EQ(refusal([&] { bootstrap(single_cases(3), 1, {}, fails); }), "no such figure");
}

TEST(Groups, AreNumberedByName) {
  const Groups groups = make_groups(std::vector<std::string>{"b", "a", "b", "c"});
  EXPECT_EQ(groups.count, 3u);
  EXPECT_THAT(groups.of_case, testing::ElementsAre(1, 0, 1, 2));
}

}  // namespace
}  // namespace mii::stats
