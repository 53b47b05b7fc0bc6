#include "eval/retrieval.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace mii {
namespace {

using testing::ElementsAre;

TEST(Retrieved, LabelsComeByDistanceAndEqualOnesByPlace) {
  std::vector<Distance> distances{{-0.5f, 0}, {-0.75f, 1}, {-0.5f, 2}, {-0.25f, 3}};
  const std::vector<size_t> labels{8, 9, 7, 7};
  const stats::Retrieved answer = retrieved(distances, labels, 7, 3);
  EXPECT_EQ(answer.truth, 7u);
  EXPECT_THAT(answer.classes, ElementsAre(9, 8, 7));
  EXPECT_EQ(answer.relevant, 2u);
  EXPECT_EQ(answer.first, 3u);
}

TEST(Retrieved, TheFirstOfItsLabelIsLookedForBeyondK) {
  std::vector<Distance> distances{{-0.5f, 0}, {-0.75f, 1}, {-0.5f, 2}, {-0.25f, 3}};
  const std::vector<size_t> labels{8, 9, 8, 7};
  EXPECT_EQ(retrieved(distances, labels, 7, 1).first, 4u);
  EXPECT_EQ(retrieved(distances, labels, 6, 1).first, 0u);
  EXPECT_EQ(retrieved(distances, labels, 6, 1).relevant, 0u);
}

// Vectors of one value, 1 or -1: their cosines are exact, and many are equal.
TEST(Retrieved, EqualsASortOfAllImagesOfOtherPatients) {
  constexpr size_t kRows = 60, kDim = 6, kLabels = 4, kTop = 7;
  std::mt19937_64 random(1);
  Matrix vectors(kRows, kDim);
  std::vector<std::string> patients;
  std::vector<size_t> labels;
  for (size_t r = 0; r < kRows; ++r) {
    vectors.row(r)[random() % kDim] = random() % 2 ? 1 : -1;
    patients.push_back(std::to_string(random() % 20));
    labels.push_back(random() % kLabels);
  }
  std::vector<stats::Retrieved> answers(kRows);
  for_each_query(vectors, patients, vectors, patients, [&](size_t q, std::vector<Distance>& distances) {
    answers[q] = retrieved(distances, labels, labels[q], kTop);
  });
  for (size_t q = 0; q < kRows; ++q) {
    std::vector<size_t> order;
    for (size_t r = 0; r < kRows; ++r)
      if (patients[r] != patients[q]) order.push_back(r);
    const auto product = [&](size_t r) {
      float sum = 0;
      for (size_t d = 0; d < kDim; ++d) sum += vectors.row(q)[d] * vectors.row(r)[d];
      return sum;
    };
    std::ranges::stable_sort(order, std::greater(), product);
    size_t relevant = 0, first = 0;
    std::vector<size_t> classes;
    for (size_t i = 0; i < order.size(); ++i) {
      if (i < kTop) classes.push_back(labels[order[i]]);
      if (labels[order[i]] != labels[q]) continue;
      ++relevant;
      if (first == 0) first = i + 1;
    }
    EXPECT_EQ(answers[q].classes, classes) << q;
    EXPECT_EQ(answers[q].relevant, relevant) << q;
    EXPECT_EQ(answers[q].first, first) << q;
  }
}

}  // namespace
}  // namespace mii
