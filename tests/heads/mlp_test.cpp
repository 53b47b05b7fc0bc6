#include "heads/mlp.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "mii/error.h"

namespace mii::heads {
namespace {

using testing::HasSubstr;

Rows64 rows(const std::vector<std::vector<double>>& values) {
  Rows64 made(values.size(), values.front().size());
  for (size_t i = 0; i < values.size(); ++i) std::ranges::copy(values[i], made.row(i).begin());
  return made;
}

MlpLayer identity(size_t width, double factor = 1) {
  MlpLayer layer{.weights = Rows64(width, width + 1)};
  for (size_t i = 0; i < width; ++i) layer.weights.row(i)[i] = factor;
  return layer;
}

Matrix vector(std::vector<float> values) {
  Matrix made(1, values.size());
  std::ranges::copy(values, made.row(0).begin());
  return made;
}

std::vector<double> scores_of(const Mlp& mlp, const Matrix& vectors) {
  const Rows64 scores = mlp_scores(mlp, vectors);
  return {scores.row(0).begin(), scores.row(0).end()};
}

TEST(Mlp, ALayerIsItsWeightsTimesTheValuesAndItsBias) {
  const Mlp mlp{.layers = {{.weights = rows({{2, -1, 0.5}, {0, 4, -3}})}}, .weight = 0.5};
  EXPECT_THAT(scores_of(mlp, vector({3, 1})), testing::ElementsAre((6 - 1 + 0.5) / 2, (4 - 3) / 2.0));
}

// x * Phi(x), Phi from tables of the normal distribution.
TEST(Mlp, GeluIsTheExactOne) {
  Mlp mlp{.layers = {identity(4)}};
  mlp.layers[0].then = Then::gelu;
  const std::vector<double> values = scores_of(mlp, vector({0, 1, -1, 2}));
  const double expected[] = {0, 0.841344746068543, -0.158655253931457, 1.954499736103642};
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(values[i], expected[i], 1e-14);
}

// tanh(1) and 1 / (1 + e) from tables.
TEST(Mlp, ReluTanhAndLogisticAreWhatScikitLearnHas) {
  Mlp mlp{.layers = {identity(3)}};
  const auto of = [&](Then then) {
    mlp.layers[0].then = then;
    return scores_of(mlp, vector({0, 1, -1}));
  };
  EXPECT_THAT(of(Then::relu), testing::ElementsAre(0, 1, 0));
  EXPECT_THAT(of(Then::tanh), testing::ElementsAre(0, testing::DoubleNear(0.761594155955765, 1e-14),
                                                   testing::DoubleNear(-0.761594155955765, 1e-14)));
  EXPECT_THAT(of(Then::logistic), testing::ElementsAre(0.5, testing::DoubleNear(0.731058578630005, 1e-14),
                                                       testing::DoubleNear(0.268941421369995, 1e-14)));
}

// Of 1, 2, 3, 6 the mean is 3 and the variance 14 / 4.
TEST(Mlp, LayerNormHasThePopulationsVarianceAndTheNormsGainAndOffset) {
  Mlp mlp{.layers = {identity(4)}};
  mlp.layers[0].then = Then::layer_norm;
  mlp.layers[0].norm = rows({{1, 1, 1, 10}, {0, 0, 7, -1}});
  const std::vector<double> values = scores_of(mlp, vector({1, 2, 3, 6}));
  const double deviation = std::sqrt(3.5 + 1e-5);
  const double expected[] = {-2 / deviation, -1 / deviation, 7, 10 * 3 / deviation - 1};
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(values[i], expected[i], 1e-14);
}

TEST(Mlp, ScoresOfAVectorDoNotDependOnTheOthers) {
  std::mt19937 random(1);
  const auto number = [&] { return static_cast<double>(random()) / 4294967296.0 - 0.5; };
  Mlp mlp;
  size_t in = 19;
  for (const size_t out : {33u, 40u, 3u}) {
    mlp.layers.push_back({.weights = Rows64(out, in + 1), .then = out == 3 ? Then::nothing : Then::gelu});
    for (size_t i = 0; i < out; ++i)
      for (double& v : mlp.layers.back().weights.row(i)) v = number();
    in = out;
  }
  Matrix vectors(600, 19);
  for (float& v : vectors.values()) v = static_cast<float>(number());
  const Rows64 together = mlp_scores(mlp, vectors);
  for (size_t i = 0; i < vectors.rows(); ++i) {
    const Rows64 alone = mlp_scores(mlp, some_rows(vectors, std::vector{i}));
    EXPECT_TRUE(std::ranges::equal(alone.row(0), together.row(i))) << i;
  }
}

TEST(Mlp, ScoresOfTheLargestNumbersThatAreAcceptedAreFinite) {
  Mlp mlp{.layers = std::vector<MlpLayer>(8, identity(2, 1e20))};
  mlp.layers[7].then = Then::layer_norm;
  mlp.layers[7].norm = rows({{1e20, 1e20}, {1, -1}});
  expect_layers(mlp, 2);
  for (const double score : scores_of(mlp, vector({3e38f, -3e38f}))) EXPECT_TRUE(std::isfinite(score));
}

TEST(Mlp, RefusesLayersThatDoNotFit) {
  const auto refusal = [](std::vector<MlpLayer> layers, double weight = 1) -> std::string {
    try {
      expect_layers({std::move(layers), weight}, 3);
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::invalid_argument);
      return e.what();
    }
    return "accepted";
  };
  const MlpLayer good = identity(3);
  EXPECT_EQ(refusal({good, good}), "accepted");
  EXPECT_THAT(refusal({}), HasSubstr("a head of 0 layers"));
  EXPECT_THAT(refusal(std::vector<MlpLayer>(9, good)), HasSubstr("a head of 9 layers"));
  EXPECT_THAT(refusal({good, {.weights = Rows64(3, 6)}}),
              HasSubstr("layer 2 takes 5 values, but the one before it gives 3"));
  EXPECT_THAT(refusal({good, {.weights = Rows64(2, 4)}}), HasSubstr("gives 2 values for 3 labels"));
  EXPECT_THAT(refusal({{.weights = Rows64(3, 1)}}), HasSubstr("layer 1 is [3, 1]"));
  EXPECT_THAT(refusal({{.weights = Rows64(16385, 2)}, good}), HasSubstr("layer 1 is [16385, 2]"));
  EXPECT_THAT(refusal({{.weights = Rows64(3, 4), .then = Then::layer_norm}}),
              HasSubstr("a norm that does not fit"));
  EXPECT_THAT(refusal({{.weights = Rows64(3, 4), .then = Then::layer_norm, .norm = Rows64(2, 4)}}),
              HasSubstr("a norm that does not fit its 3 values"));
  EXPECT_THAT(refusal({{.weights = Rows64(3, 4), .norm = Rows64(2, 3)}}),
              HasSubstr("a norm that does not fit"));
  for (const double bad : {std::nan(""), HUGE_VAL, -1.1e20})
    EXPECT_THAT(refusal({good, identity(3, bad)}), HasSubstr("layer 2 has numbers that are not finite"));
  EXPECT_THAT(refusal({good}, NAN), HasSubstr("weight that is not finite"));
}

}  // namespace
}  // namespace mii::heads
