#include "stats/retrieval.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

#include "refusal.h"

namespace mii::stats {
namespace {

using testing::HasSubstr;

// Of a query of class 7: the relevant items have ranks 1, 3 and 6, and there are four.
const Retrieved kQuery{7, {7, 2, 7, 3, 3, 7}, 4, 1};

TEST(Retrieval, PrecisionCountsHitsAmongTheFirst) {
  EXPECT_DOUBLE_EQ(precision_at(kQuery, 1), 1);
  EXPECT_DOUBLE_EQ(precision_at(kQuery, 5), 2.0 / 5);
  EXPECT_DOUBLE_EQ(precision_at(kQuery, 10), 3.0 / 10);  // the index has not as many
}

TEST(Retrieval, CappedPrecisionIsOfWhatWasPossible) {
  EXPECT_DOUBLE_EQ(capped_precision_at(kQuery, 3), 2.0 / 3);
  EXPECT_DOUBLE_EQ(capped_precision_at(kQuery, 10), 3.0 / 4);
}

TEST(Retrieval, RecallIsOfAllRelevantItems) {
  EXPECT_DOUBLE_EQ(recall_at(kQuery, 1), 1.0 / 4);
  EXPECT_DOUBLE_EQ(recall_at(kQuery, 10), 3.0 / 4);
}

TEST(Retrieval, AveragePrecisionIsThatAtTheHits) {
  EXPECT_DOUBLE_EQ(average_precision_at(kQuery, 3), (1 + 2.0 / 3) / 3);
  EXPECT_DOUBLE_EQ(average_precision_at(kQuery, 6), (1 + 2.0 / 3 + 3.0 / 6) / 4);
  EXPECT_DOUBLE_EQ(average_precision_at({1, {2, 1}, 1, 2}, 5), 1.0 / 2);
}

TEST(Retrieval, TheNearestItemBreaksATieOfVotes) {
  EXPECT_EQ(majority_at(kQuery, 2), 1);  // one vote each, and the first is its own
  EXPECT_EQ(majority_at(kQuery, 5), 1);
  EXPECT_EQ(majority_at({3, kQuery.classes, 2, 4}, 5), 0);
  EXPECT_EQ(majority_at({3, {7, 3, 3}, 2, 2}, 3), 1);
  EXPECT_EQ(majority_at({3, {}, 1, 1}, 3), 0);
}

TEST(Retrieval, ItemsWithoutAClassAreMissesWithoutAVote) {
  const Retrieved query{3, {kNoClass, kNoClass, 3}, 1, 3};
  EXPECT_DOUBLE_EQ(precision_at(query, 3), 1.0 / 3);
  EXPECT_EQ(majority_at(query, 2), 0);
  EXPECT_EQ(majority_at(query, 3), 1);
}

TEST(Retrieval, ReciprocalRankLooksAtTheWholeIndex) {
  EXPECT_DOUBLE_EQ(reciprocal_rank({1, {2, 2}, 1, 40}), 1.0 / 40);
}

TEST(Retrieval, WhatIsThereAndIsNotFoundCountsAsNothing) { EXPECT_EQ(reciprocal_rank({1, {2, 2}, 1, 0}), 0); }

TEST(Retrieval, QueriesWithNothingToFindAreLeftOut) {
  const Retrieved none{1, {2, 2}, 0, 0};
  for (const auto figure : {precision_at, capped_precision_at, recall_at, average_precision_at, majority_at})
    EXPECT_TRUE(std::isnan(figure(none, 2)));
  EXPECT_TRUE(std::isnan(reciprocal_rank(none)));
  const std::vector<Retrieved> queries{none, {0, {0}, 2, 1}};
  const auto figures =
      retrieval_figures(queries, 2, single_cases(2), std::vector<size_t>{1}, {.resamples = 0});
  EXPECT_EQ(figures.at[0].precision.micro.value, 1);
  EXPECT_EQ(figures.at[0].recall.micro.value, 0.5);
  EXPECT_EQ(figures.at[0].recall.macro.value, 0.5);
}

TEST(Retrieval, MicroIsOverQueriesAndMacroOverClasses) {
  // Three queries of class 0, all answered; one of class 2, not answered; none of class 1.
  const std::vector<Retrieved> queries{{0, {0}, 1, 1}, {0, {0}, 1, 1}, {0, {0}, 1, 1}, {2, {0}, 1, 2}};
  const std::vector<size_t> ks{1};
  const auto figures = retrieval_figures(queries, 3, single_cases(4), ks, {.resamples = 0});
  EXPECT_DOUBLE_EQ(figures.at[0].precision.micro.value, 0.75);
  EXPECT_DOUBLE_EQ(figures.at[0].precision.macro.value, 0.5);
  EXPECT_DOUBLE_EQ(figures.reciprocal_rank.micro.value, 3.5 / 4);
  EXPECT_DOUBLE_EQ(figures.reciprocal_rank.macro.value, 0.75);
}

// Everything again from whole rankings, as the definitions read.
struct Oracle {
  std::vector<size_t> ranking;  // classes of the whole index
  size_t truth;

  double relevant() const { return static_cast<double>(std::ranges::count(ranking, truth)); }
  double hits(size_t k) const {
    double n = 0;
    for (size_t i = 0; i < k && i < ranking.size(); ++i) n += ranking[i] == truth ? 1 : 0;
    return n;
  }
  double average_precision(size_t k) const {
    double sum = 0;
    for (size_t i = 1; i <= k && i <= ranking.size(); ++i)
      if (ranking[i - 1] == truth) sum += hits(i) / static_cast<double>(i);
    return sum / std::min(static_cast<double>(k), relevant());
  }
  double majority(size_t k) const {
    std::map<size_t, int> votes;
    for (size_t i = 0; i < k && i < ranking.size(); ++i) votes[ranking[i]] += 1;
    for (size_t i = 0; i < k && i < ranking.size(); ++i)
      if (std::ranges::all_of(votes, [&](auto v) { return v.second <= votes[ranking[i]]; }))
        return ranking[i] == truth ? 1 : 0;
    return 0;
  }
  double reciprocal_rank() const {
    for (size_t i = 0; i < ranking.size(); ++i)
      if (ranking[i] == truth) return 1 / static_cast<double>(i + 1);
    return 0;
  }
};

TEST(Retrieval, EveryFigureEqualsBruteForceOverWholeRankings) {
  constexpr size_t kClasses = 5, kQueries = 200;
  const std::vector<size_t> ks{1, 4, 10, 60};
  std::mt19937_64 random(3);
  std::vector<Oracle> oracles;
  std::vector<Retrieved> queries;
  std::vector<std::string> patients;
  for (size_t q = 0; q < kQueries; ++q) {
    Oracle oracle{{}, random() % kClasses};
    for (size_t i = 0; i < 40; ++i)
      oracle.ranking.push_back(random() % 3 ? random() % kClasses : oracle.truth);
    if (q % 9 == 0) std::erase(oracle.ranking, oracle.truth);
    const auto own = std::ranges::find(oracle.ranking, oracle.truth);
    const size_t first =
        own == oracle.ranking.end() ? 0 : static_cast<size_t>(own - oracle.ranking.begin()) + 1;
    queries.push_back({oracle.truth, oracle.ranking, static_cast<size_t>(oracle.relevant()), first});
    oracles.push_back(std::move(oracle));
    patients.push_back(std::to_string(q / 3));
  }
  const auto figures =
      retrieval_figures(queries, kClasses, make_groups(patients), ks, {.resamples = 200, .seed = 5});
  const auto expect_averages = [&](const Averaged& found, auto value, const char* name, size_t k) {
    double sum = 0, count = 0, class_means = 0;
    for (size_t c = 0; c < kClasses; ++c) {
      double class_sum = 0, class_count = 0;
      for (const Oracle& oracle : oracles)
        if (oracle.truth == c && oracle.relevant() > 0) class_sum += value(oracle), class_count += 1;
      sum += class_sum, count += class_count, class_means += class_sum / class_count;
    }
    // Sums of 200 values of at most 1, in another order.
    EXPECT_NEAR(found.micro.value, sum / count, 200 * 0x1p-52) << name << " at " << k;
    EXPECT_NEAR(found.macro.value, class_means / kClasses, 200 * 0x1p-52) << name << " at " << k;
    EXPECT_LE(found.micro.low, found.micro.value);
    EXPECT_GE(found.micro.high, found.micro.value);
  };
  for (size_t i = 0; i < ks.size(); ++i) {
    const size_t k = ks[i];
    const auto& at = figures.at[i];
    EXPECT_EQ(at.k, k);
    const auto n = static_cast<double>(k);
    expect_averages(
        at.precision, [&](const Oracle& o) { return o.hits(k) / n; }, "precision", k);
    expect_averages(
        at.capped_precision, [&](const Oracle& o) { return o.hits(k) / std::min(n, o.relevant()); }, "capped",
        k);
    expect_averages(
        at.recall, [&](const Oracle& o) { return o.hits(k) / o.relevant(); }, "recall", k);
    expect_averages(
        at.average_precision, [&](const Oracle& o) { return o.average_precision(k); }, "mAP", k);
    expect_averages(
        at.majority, [&](const Oracle& o) { return o.majority(k); }, "majority", k);
  }
  expect_averages(
      figures.reciprocal_rank, [](const Oracle& o) { return o.reciprocal_rank(); }, "MRR", 0);
}

TEST(Retrieval, IntervalsAreOfWholePatients) {
  // Two patients, one answered and one not: draws of patients give 0, a half or 1, whatever their images.
  std::vector<Retrieved> queries;
  std::vector<std::string> patients;
  for (size_t q = 0; q < 40; ++q) {
    queries.push_back({0, {q % 2}, 1, q % 2 + 1});
    patients.push_back(q % 2 ? "a" : "b");
  }
  const std::vector<size_t> ks{1};
  const auto figures = retrieval_figures(queries, 1, make_groups(patients), ks, {});
  EXPECT_EQ(figures.at[0].precision.micro.value, 0.5);
  EXPECT_EQ(figures.at[0].precision.micro.low, 0);
  EXPECT_EQ(figures.at[0].precision.micro.high, 1);
}

TEST(Retrieval, RefusesWhatDoesNotFit) {
  const auto ask = [](size_t truth, size_t groups, size_t k) {
    const std::vector<Retrieved> queries{{truth, {0}, 1, 1}};
    return refusal([&] { retrieval_figures(queries, 2, single_cases(groups), std::vector{k}, {}); });
  };
  EXPECT_EQ(ask(1, 1, 1), "accepted");
  EXPECT_THAT(ask(2, 1, 1), HasSubstr("a query's class is beyond the 2"));
  EXPECT_THAT(ask(1, 2, 1), HasSubstr("answers to 1 queries for groups of 2"));
  EXPECT_THAT(ask(1, 1, 0), HasSubstr("the first 0 items"));
}

}  // namespace
}  // namespace mii::stats
