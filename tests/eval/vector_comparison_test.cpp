#include "eval/vector_comparison.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "mii/error.h"

namespace mii {
namespace {

using testing::HasSubstr;

Matrix matrix(size_t cols, const std::vector<float>& values) {
  Matrix m(values.size() / cols, cols);
  std::ranges::copy(values, m.values().begin());
  return m;
}

// By hand: at right angles 1, the cosine of (1, 0) and (3, 4) is 3/5, opposite 2, equal but for length 0.
TEST(VectorComparison, HasTheDistancesThatCanBeComputedByHand) {
  const VectorComparison c = compare_vectors(
      {matrix(2, {1, 0, 1, 0, 1, 0, 1, 0}), matrix(3, {1, 0, 0, 1, 0, 0, 0, 0, 1, 0, 2, 0})},
      {matrix(2, {0, 1, 3, 4, -1, 0, 7, 0}), matrix(3, {1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 2, 2})});
  ASSERT_EQ(c.images.size(), 4u);
  const size_t order[] = {2, 0, 1, 3};
  const double distances[] = {2, 1, 0.4, 0};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(c.images[i].image, order[i]);
    EXPECT_DOUBLE_EQ(c.images[i].distance, distances[i]);
  }
  EXPECT_DOUBLE_EQ(c.mean, (2 + 1 + 0.4 + 0) / 4);
  EXPECT_DOUBLE_EQ(c.median, (1 + 0.4) / 2);
  EXPECT_DOUBLE_EQ(c.largest, 2);
  // Image 1 goes from label 0 to 1; of the two equal scores of image 3 the first counts.
  EXPECT_EQ(c.agreeing, 3u);
  EXPECT_EQ(c.images[2].from, 0u);
  EXPECT_EQ(c.images[2].to, 1u);
  EXPECT_EQ(c.images[3].to, 1u);
}

TEST(VectorComparison, TheMedianOfAnOddNumberIsTheOneInTheMiddle) {
  const VectorComparison c = compare_vectors({matrix(2, {1, 0, 1, 0, 1, 0}), matrix(1, {1, 1, 1})},
                                             {matrix(2, {-1, 0, 1, 0, 3, 4}), matrix(1, {1, 1, 1})});
  EXPECT_DOUBLE_EQ(c.median, 0.4);
}

TEST(VectorComparison, EqualDistancesKeepTheOrderOfTheImages) {
  const VectorComparison c = compare_vectors({matrix(2, {1, 0, 0, 1, 1, 0}), matrix(1, {1, 1, 1})},
                                             {matrix(2, {0, 1, 1, 0, 0, 1}), matrix(1, {1, 1, 1})});
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(c.images[i].image, i);
}

void expect_refused(const Answers& from, const Answers& to, const char* why) {
  try {
    compare_vectors(from, to);
    ADD_FAILURE() << "accepted: " << why;
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::invalid_argument);
    EXPECT_THAT(e.what(), HasSubstr(why));
  }
}

TEST(VectorComparison, WhatDoesNotFitIsRefused) {
  const auto of = [](size_t images, size_t dim, size_t labels) {
    return Answers{Matrix(images, dim), Matrix(images, labels)};
  };
  expect_refused(of(2, 4, 3), of(2, 5, 3), "vectors of 2 x 4 and of 2 x 5");
  expect_refused(of(2, 4, 3), of(3, 4, 3), "vectors of 2 x 4 and of 3 x 4");
  expect_refused(of(2, 4, 3), of(2, 4, 2), "scores of 2 x 3 and of 2 x 2");
  expect_refused(of(0, 4, 3), of(0, 4, 3), "for each image");
  expect_refused(of(2, 4, 0), of(2, 4, 0), "for each image");
  expect_refused({Matrix(2, 4), Matrix(1, 3)}, {Matrix(2, 4), Matrix(1, 3)}, "for each image");
}

}  // namespace
}  // namespace mii
