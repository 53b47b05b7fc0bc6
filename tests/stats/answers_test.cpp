#include "stats/answers.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "refusal.h"

namespace mii::stats {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Matrix matrix(size_t cols, std::vector<float> values) {
  Matrix m(values.size() / cols, cols);
  std::ranges::copy(values, m.values().begin());
  return m;
}

TEST(RankedAnswers, TopKCountsTiesAgainstTheModel) {
  const RankedAnswers answers(matrix(3, {0.5f, 0.3f, 0.2f, 0.4f, 0.4f, 0.2f, 0.1f, 0.2f, 0.7f}),
                              std::vector<size_t>{0, 1, 0});
  EXPECT_DOUBLE_EQ(answers.top_k_accuracy(1), 1.0 / 3);
  EXPECT_DOUBLE_EQ(answers.top_k_accuracy(2), 2.0 / 3);
  EXPECT_DOUBLE_EQ(answers.top_k_accuracy(3), 1.0);
  EXPECT_DOUBLE_EQ(answers.top_k_accuracy(1, std::vector<uint32_t>{3, 0, 1}), 0.75);
  EXPECT_TRUE(std::isnan(answers.top_k_accuracy(1, std::vector<uint32_t>{0, 0, 0})));
}

TEST(RankedAnswers, MacroAucLeavesOutLabelsWithoutImages) {
  const Matrix scores = matrix(3, {0.9f, 0.1f, 0.0f, 0.2f, 0.8f, 0.0f, 0.6f, 0.4f, 0.0f});
  EXPECT_DOUBLE_EQ(RankedAnswers(scores, std::vector<size_t>{0, 1, 0}).macro_auc(), 1.0);
  EXPECT_TRUE(std::isnan(RankedAnswers(scores, std::vector<size_t>{0, 0, 0}).macro_auc()));
}

TEST(RankedAnswers, ConfusionHasTruthInRows) {
  const Matrix scores = matrix(2, {0.9f, 0.1f, 0.8f, 0.2f, 0.3f, 0.7f});
  const RankedAnswers answers(scores, std::vector<size_t>{0, 1, 1});
  EXPECT_THAT(answers.confusion(), ElementsAre(1, 0, 1, 1));
  EXPECT_THAT(answers.answers(), ElementsAre(0, 0, 1));
}

TEST(RankedAnswers, RefuseWhatDoesNotFit) {
  const auto ask = [](std::vector<float> scores, std::vector<size_t> truth) {
    return refusal([&] { RankedAnswers(matrix(2, std::move(scores)), truth); });
  };
  EXPECT_THAT(ask({1, 0, NAN, 1}, {0, 1}), HasSubstr("1 of 2 scores are not finite"));
  EXPECT_THAT(ask({1, 0}, {2}), HasSubstr("a true label is beyond the 2 labels"));
  EXPECT_THAT(ask({1, 0}, {0, 1}), HasSubstr("scores of 1 cases for 2 true labels"));
}

}  // namespace
}  // namespace mii::stats
