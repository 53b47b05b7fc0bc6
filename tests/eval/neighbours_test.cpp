#include "eval/neighbours.h"

#include <gmock/gmock.h>

#include <algorithm>
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
  const std::vector<size_t> labels{0, 1, 2, 3};
  const std::vector<std::string> patients{"a", "a", "b", "c"};
  // The nearest to the first is the second, which is of the same patient; the next is the fourth.
  const Matrix votes = nearest_neighbour_votes(vectors, labels, patients, vectors, patients, 4, 1);
  EXPECT_THAT(votes.row(0), ElementsAre(0, 0, 0, 1));
  EXPECT_THAT(votes.row(1), ElementsAre(0, 0, 0, 1));
  EXPECT_THAT(votes.row(2), ElementsAre(0, 0, 0, 1));
  EXPECT_THAT(votes.row(3), ElementsAre(0, 0, 1, 0));
}

TEST(Neighbours, VoteAndTheNearestBreaksATie) {
  const Matrix references = matrix(2, {1, 0, 0.9f, 0.2f, 0.8f, 0.5f});
  const Matrix query = matrix(2, {1, 0});
  const std::vector<std::string> patients{"a", "b", "c"}, asked{"q"};
  const auto votes = [&](const std::vector<size_t>& labels, size_t k) {
    return nearest_neighbour_votes(references, labels, patients, query, asked, 3, k);
  };
  EXPECT_THAT(votes({0, 1, 1}, 4).row(0), ElementsAre(1, 1.75f, 0));
  EXPECT_THAT(votes({2, 1, 0}, 2).row(0), ElementsAre(0, 0.5f, 1));
  EXPECT_THAT(votes({2, 1, 0}, 8).row(0), ElementsAre(0.75f, 0.875f, 1));  // fewer than k
}

}  // namespace
}  // namespace mii
