#include "eval/neighbours.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace mii {
namespace {

using testing::ElementsAre;

Matrix matrix(size_t cols, std::vector<float> values) {
  Matrix m(values.size() / cols, cols);
  std::ranges::copy(values, m.values().begin());
  return m;
}

TEST(Neighbours, NeverComeFromTheSamePatient) {
  const Matrix vectors = matrix(2, {1, 0, 0.99f, 0.1f, 0, 2, 0.1f, 1});
  const std::vector<std::string> patients{"a", "a", "b", "c"};
  // The nearest to the first is the second, which is of the same patient; the next is the fourth.
  const auto near = nearest_neighbours(vectors, patients, vectors, patients, 1);
  EXPECT_THAT(near, ElementsAre(ElementsAre(3), ElementsAre(3), ElementsAre(3), ElementsAre(2)));
}

TEST(Neighbours, VoteAndTheNearestBreaksATie) {
  const auto votes = [&](const std::vector<size_t>& labels, size_t k) {
    const Matrix all = neighbour_votes({{0, 1, 2}}, labels, 3, k);
    return std::vector<float>(all.row(0).begin(), all.row(0).end());
  };
  constexpr float kRank = 1.0f / 1024;  // a tie is broken by this part of a vote for each k-th of the ranks
  EXPECT_THAT(votes({0, 1, 1}, 4), ElementsAre(0.25f, (2 - kRank / 4) / 4, 0));
  EXPECT_THAT(votes({2, 1, 0}, 4), ElementsAre((1 - kRank / 2) / 4, (1 - kRank / 4) / 4, 0.25f));
  EXPECT_THAT(votes({1, 1, 1}, 3), ElementsAre(0, 1, 0));
}

TEST(Neighbours, MeansAreOfTheirValues) {
  const auto means = neighbour_means({{0, 2}, {1}, {}}, std::vector{10.0f, 20.0f, 40.0f});
  ASSERT_EQ(means.size(), 3u);
  EXPECT_EQ(means[0], 25);
  EXPECT_EQ(means[1], 20);
  EXPECT_TRUE(std::isnan(means[2]));
}

}  // namespace
}  // namespace mii
