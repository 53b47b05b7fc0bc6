#include "search/principal_axes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "backend/cpu/team.h"
#include "mii/error.h"
#include "vectors.h"

namespace mii::search {
namespace {

using testing::DoubleEq;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

Matrix matrix(size_t cols, std::initializer_list<float> values) {
  Matrix made(values.size() / cols, cols);
  std::ranges::copy(values, made.values().begin());
  return made;
}

PrincipalAxes axes_of(const Matrix& vectors, size_t part = 1'000'000) {
  Covariance covariance(vectors.cols());
  for (size_t first = 0; first < vectors.rows(); first += part) {
    const size_t rows = std::min(part, vectors.rows() - first);
    Matrix some(rows, vectors.cols());
    std::ranges::copy(vectors.values().subspan(first * vectors.cols(), rows * vectors.cols()),
                      some.values().begin());
    covariance.add(some);
  }
  return covariance.axes();
}

std::vector<double> axis(const PrincipalAxes& found, size_t a) {
  std::vector<double> values;
  for (size_t d = 0; d < found.axes.rows(); ++d) values.push_back(found.axes.row(d)[a]);
  return values;
}

TEST(PrincipalAxes, AreThoseOfTheLargestVariancesWithTheLargestValuePositive) {
  // Around (1, 2, 3): 5 to both sides along (-0.8, 0.6, 0), 1 along (0, 0, 1). Variances 50 / 4 and 2 / 4.
  const PrincipalAxes found = axes_of(matrix(3, {-3, 5, 3, 5, -1, 3, 1, 2, 4, 1, 2, 2}));
  constexpr double kRounding = 1e-14;
  EXPECT_THAT(found.mean, ElementsAre(1, 2, 3));
  const double expected[2][3] = {{0.8, -0.6, 0}, {0, 0, 1}};
  for (size_t a = 0; a < 2; ++a)
    for (size_t d = 0; d < 3; ++d) EXPECT_NEAR(axis(found, a)[d], expected[a][d], kRounding);
  EXPECT_NEAR(found.share[0], 50.0 / 52, kRounding);
  EXPECT_NEAR(found.share[1], 2.0 / 52, kRounding);
  const Matrix places = found.project(matrix(3, {-3, 5, 3, 1, 2, 4, 1, 2, 3}));
  const float along[3][2] = {{-5, 0}, {0, 1}, {0, 0}};
  for (size_t i = 0; i < 3; ++i)
    for (size_t a = 0; a < 2; ++a) EXPECT_NEAR(places.row(i)[a], along[i][a], 1e-6f);
}

TEST(PrincipalAxes, AreEigenvectorsOfTheCovariance) {
  constexpr size_t kRows = 500, kCols = 40;
  const Matrix vectors = clustered_vectors(kRows, kCols, 5);
  const PrincipalAxes found = axes_of(vectors, 64);
  std::vector<double> mean(kCols), covariance(kCols * kCols);
  for (size_t i = 0; i < kRows; ++i)
    for (size_t d = 0; d < kCols; ++d) mean[d] += double{vectors.row(i)[d]} / kRows;
  double trace = 0;
  for (size_t i = 0; i < kCols; ++i)
    for (size_t j = 0; j < kCols; ++j)
      for (size_t r = 0; r < kRows; ++r)
        covariance[i * kCols + j] +=
            (vectors.row(r)[i] - mean[i]) * (vectors.row(r)[j] - mean[j]) / double{kRows};
  for (size_t i = 0; i < kCols; ++i) trace += covariance[i * kCols + i];
  // What sums of so many products may be off by.
  const double bound = (kRows + kCols) * std::numeric_limits<double>::epsilon() * trace;
  for (size_t a = 0; a < 2; ++a) {
    const std::vector<double> x = axis(found, a);
    double length = 0;
    for (size_t i = 0; i < kCols; ++i) {
      double product = 0;
      for (size_t j = 0; j < kCols; ++j) product += covariance[i * kCols + j] * x[j];
      EXPECT_NEAR(product, found.share[a] * trace * x[i], bound);
      length += x[i] * x[i];
    }
    EXPECT_NEAR(length, 1, kCols * std::numeric_limits<double>::epsilon());
  }
  EXPECT_GT(found.share[0], found.share[1]);
}

TEST(PrincipalAxes, DependNeitherOnThePartsNorOnTheNumberOfThreads) {
  const Matrix vectors = clustered_vectors(1500, 90, 3);
  set_team(1);
  const PrincipalAxes expected = axes_of(vectors);
  const Matrix places = expected.project(vectors);
  for (const int threads : {1, 2, 3, 5})
    for (const size_t part : {size_t{7}, size_t{1000}, size_t{1500}}) {
      set_team(threads);
      const PrincipalAxes found = axes_of(vectors, part);
      EXPECT_EQ(found.mean, expected.mean);
      EXPECT_TRUE(std::ranges::equal(found.axes.values(), expected.axes.values())) << threads << " " << part;
      EXPECT_EQ(found.share, expected.share);
      EXPECT_TRUE(std::ranges::equal(found.project(vectors).values(), places.values()));
    }
}

TEST(PrincipalAxes, OfFewOrEqualVectorsAreZero) {
  Matrix equal(9, 3);
  for (size_t i = 0; i < 9; ++i) std::ranges::copy(std::array{0.1f, 0.7f, -0.7f}, equal.row(i).begin());
  for (const Matrix& vectors : {Matrix(0, 3), matrix(3, {0.1f, 0.7f, -0.7f}), std::move(equal)}) {
    const PrincipalAxes found = axes_of(vectors);
    EXPECT_THAT(found.share, ElementsAre(0, 0));
    EXPECT_THAT(found.axes.values(), Each(DoubleEq(0)));
    EXPECT_THAT(found.project(vectors).values(), Each(0));
  }
  const PrincipalAxes two = axes_of(matrix(2, {1, 0, 0, 1}));
  EXPECT_NEAR(two.share[0], 1, 1e-15);
  EXPECT_EQ(two.share[1], 0);
  EXPECT_THAT(axis(two, 1), Each(DoubleEq(0)));
  const PrincipalAxes line = axes_of(matrix(1, {1, 2, 4}));
  EXPECT_THAT(axis(line, 0), ElementsAre(1));
  EXPECT_THAT(axis(line, 1), ElementsAre(0));
}

TEST(PrincipalAxes, OfVectorsThatAreTooLongAreRefused) {
  try {
    Covariance covariance(Covariance::kMaxDim + 1);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::unsupported);
    EXPECT_THAT(error.what(), HasSubstr("2049 values"));
  }
}

}  // namespace
}  // namespace mii::search
