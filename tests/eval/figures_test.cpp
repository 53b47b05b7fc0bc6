#include "eval/figures.h"

#include <gmock/gmock.h>

#include <cmath>

#include "eval/few_shot.h"
#include "mii/error.h"

namespace mii {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const FigureOptions kFew{.resamples = 50, .prevalences = {}};

// Probabilities of the first of two labels.
Answers answers(std::string name, const std::vector<float>& first,
                std::vector<std::string> compared_with = {}) {
  Answers made{std::move(name), false, std::move(compared_with), false, Matrix(first.size(), 2), {{}, {}}};
  for (size_t i = 0; i < first.size(); ++i) {
    made.scores.row(i)[0] = first[i];
    made.scores.row(i)[1] = 1 - first[i];
  }
  return made;
}

AnsweredTask task(std::vector<size_t> truth) {
  AnsweredTask made;
  made.labels = {"ill", "well"};
  for (size_t i = 0; i < truth.size(); ++i) made.groups.push_back("patient " + std::to_string(i));
  made.truth = std::move(truth);
  return made;
}

TaskResult labelled(const AnsweredTask& answered, const FigureOptions& options) {
  TaskResult result = summarize("t", {&answered, 1}, options);
  add_label_figures(answered, options, result);
  return result;
}

TEST(Figures, ComparisonsArePaired) {
  AnsweredTask answered = task({0, 0, 0, 1, 1, 1});
  answered.answers.push_back(answers("a", {0.9f, 0.8f, 0.4f, 0.6f, 0.2f, 0.1f}));
  answered.answers.push_back(answers("b", {0.9f, 0.8f, 0.6f, 0.6f, 0.2f, 0.1f}, {"a", "nobody"}));
  answered.answers.push_back(answers("c", {0.9f, 0.8f, 0.4f, 0.6f, 0.2f, 0.1f}, {"a"}));
  const TaskResult result = labelled(answered, kFew);
  ASSERT_EQ(result.comparisons.size(), 2u);
  EXPECT_DOUBLE_EQ(result.comparisons[0].top1.value, 1.0 / 6);
  EXPECT_DOUBLE_EQ(result.comparisons[0].agreement, 5.0 / 6);
  EXPECT_NEAR(result.comparisons[0].labels[0].difference.value, 8.5 / 9 - 8.0 / 9, 1e-12);
  EXPECT_EQ(result.comparisons[1].top1.low, 0);
  EXPECT_EQ(result.comparisons[1].top1.high, 0);
  EXPECT_EQ(result.comparisons[1].labels[0].p, 1);
}

TEST(Figures, OfALabelAreItsThresholds) {
  AnsweredTask answered = task({0, 0, 0, 1, 1, 1});
  answered.answers.push_back(answers("a", {0.9f, 0.8f, 0.4f, 0.6f, 0.2f, 0.1f}));
  answered.answers[0].points[0] = {0.7f, "rule"};
  const TaskResult result = labelled(answered, {.resamples = 0, .prevalences = {{"ill", 0.1}}});
  const LabelFigures& ill = result.scorers[0].labels[0];
  EXPECT_DOUBLE_EQ(ill.point.sensitivity.value, 2.0 / 3);
  EXPECT_EQ(ill.point.specificity.value, 1);
  EXPECT_LT(ill.point.specificity.low, 0.5);
  EXPECT_EQ(ill.point.ppv, 1);
  EXPECT_NEAR(ill.point.npv, 0.9 / (0.9 + 0.1 / 3), 1e-12);
  EXPECT_EQ(ill.point.prevalence, 0.1);
  ASSERT_EQ(ill.net_benefit.size(), 99u);
  EXPECT_NEAR(ill.net_benefit[69].model, 0.1 * 2 / 3, 1e-12);  // no false alarm at 0.70
  EXPECT_EQ(result.scorers[0].labels[1].point.prevalence, 0.5);
  EXPECT_DOUBLE_EQ(ill.recall, 2.0 / 3);
  EXPECT_THAT(result.scorers[0].confusion, ElementsAre(2, 1, 1, 2));
}

TEST(Figures, OneClassIsSaid) {
  AnsweredTask answered = task({0, 0});
  answered.answers.push_back(answers("a", {0.9f, 0.8f}));
  const TaskResult result = labelled(answered, kFew);
  EXPECT_THAT(result.notes,
              Contains(HasSubstr("every image is 'ill': with one class only there are no curves")));
  EXPECT_THAT(result.notes, Contains("'well' has no image, so that it has no AUC"));
  const LabelFigures& ill = result.scorers[0].labels[0];
  EXPECT_TRUE(std::isnan(ill.auc.value));
  EXPECT_TRUE(std::isnan(ill.point.specificity.value));
  EXPECT_TRUE(std::isnan(ill.point.ppv));  // at the images' own prevalence of 1
  EXPECT_THAT(ill.net_benefit, IsEmpty());
}

TEST(Figures, ScoresThatAreNoProbabilitiesAreRefused) {
  for (const float wrong : {NAN, -0.5f, 1.5f}) {
    const Answers given = answers("head x", {0.5f, wrong});
    try {
      expect_probabilities(given);
      ADD_FAILURE() << wrong;
    } catch (const Error& e) {
      EXPECT_THAT(e.what(), HasSubstr("head x: 2 of 4 scores are not numbers from 0 to 1"));
    }
  }
}

TEST(Figures, MeansTakeTheScorersThatAnsweredAll) {
  AnsweredTask tasks[] = {task({0, 1}), task({0, 1})};
  tasks[0].answers.push_back(answers("a", {0.9f, 0.1f}));
  tasks[0].answers.push_back(answers("b", {0.9f, 0.1f}, {"a"}));
  tasks[1].answers.push_back(answers("a", {0.1f, 0.1f}));
  const TaskResult result = summarize("mean", tasks, kFew);
  ASSERT_EQ(result.scorers.size(), 1u);
  EXPECT_DOUBLE_EQ(result.scorers[0].top1.value, 0.75);
  EXPECT_EQ(result.images, 4u);
  EXPECT_EQ(result.groups, 2u);  // the tasks share their patients
  EXPECT_THAT(result.comparisons, IsEmpty());
}

TEST(Subgroups, DifferFromTheOthers) {
  AnsweredTask answered = task({0, 1, 0, 1, 0, 1});
  answered.answers.push_back(answers("a", {0.9f, 0.1f, 0.8f, 0.2f, 0.3f, 0.7f}));
  const Subgrouping sex{"sex", {"F", "M"}, {"F", "F", "F", "F", "M", "M"}};
  TaskResult result = labelled(answered, kFew);
  add_subgroups(answered, {&sex, 1}, kFew, result);
  ASSERT_EQ(result.subgroups.size(), 2u);
  const SubgroupFigures& women = result.subgroups[0].scorers[0];
  EXPECT_EQ(result.subgroups[0].images, 4u);
  EXPECT_EQ(women.top1.value, 1);
  EXPECT_EQ(women.top1_difference.value, 1);
  EXPECT_EQ(women.macro_auc_difference.value, 1);
  EXPECT_EQ(women.labels[0].images, 2u);
  EXPECT_EQ(women.labels[0].sensitivity.value, 1);
  EXPECT_EQ(women.labels[0].sensitivity_difference.value, 1);
  EXPECT_EQ(result.subgroups[1].scorers[0].top1_difference.value, -1);
  EXPECT_THAT(result.notes, IsEmpty());
}

TEST(Subgroups, ThatAreEmptyOrOfOneClassAreSaid) {
  AnsweredTask answered = task({0, 0, 1});
  answered.answers.push_back(answers("a", {0.9f, 0.8f, 0.2f}));
  const Subgrouping age{"age", {"below 40", "from 40"}, {"from 40", "from 40", "from 40"}};
  const Subgrouping sex{"sex", {"F", "M"}, {"F", "F", "M"}};
  TaskResult result = labelled(answered, kFew);
  add_subgroups(answered, std::vector{age, sex}, kFew, result);
  EXPECT_THAT(result.notes,
              ElementsAre("subgroup age = below 40 has no image",
                          "subgroup age = from 40 has all images, so that it differs from no others",
                          "subgroup sex = F has images of 'ill' only, so that it has no AUC",
                          "subgroup sex = M has images of 'well' only, so that it has no AUC"));
  EXPECT_THAT(result.subgroups[0].scorers, IsEmpty());
  EXPECT_TRUE(std::isnan(result.subgroups[1].scorers[0].top1_difference.value));
  EXPECT_TRUE(std::isnan(result.subgroups[2].scorers[0].macro_auc.value));
}

TEST(FewShot, MeansAreOverTasksDrawByDraw) {
  const auto task = [](double zero_shot, double first, double second) {
    FewShotResult made{{1}, {zero_shot, zero_shot}, {{"h", {{{first, first}, {second, second}}}}}};
    return made;
  };
  const FewShotResult mean = mean_of(std::vector{task(0.5, 0.25, 1), task(1, 0.75, 0.5)});
  EXPECT_EQ(mean.zero_shot.top1, 0.75);
  EXPECT_EQ(mean.heads[0].runs[0][0].top1, 0.5);
  EXPECT_EQ(mean.heads[0].runs[0][1].macro_auc, 0.75);
}

TEST(Values, ThatNobodyTellsAreSaid) {
  AnsweredTask answered = task({});
  answered.groups = {"a"};
  answered.values = {10};
  const TaskResult result = value_result("age", answered, {}, kFew);
  EXPECT_THAT(result.notes, ElementsAre(HasSubstr("nobody answers this task")));
}

TEST(Values, HaveErrorsComparisonsAndSubgroups) {
  AnsweredTask answered = task({});
  answered.labels.clear();
  answered.groups = {"a", "b", "c", "d"};
  answered.values = {10, 20, 30, 40};
  answered.value_answers.push_back({"exact", false, {}, {10, 20, 30, 40}});
  answered.value_answers.push_back({"high", false, {"exact"}, {12, 22, 34, 44}});
  const Subgrouping sex{"sex", {"F", "M", "X"}, {"F", "F", "M", "M"}};
  const TaskResult result = value_result("age", answered, {&sex, 1}, kFew);
  ASSERT_EQ(result.values.size(), 2u);
  EXPECT_EQ(result.values[0].r2.value, 1);
  EXPECT_EQ(result.values[1].mae.value, 3);
  EXPECT_EQ(result.values[1].bias.value, 3);
  EXPECT_EQ(result.values[1].points[0], std::pair(11.0f, 2.0f));
  ASSERT_EQ(result.value_comparisons.size(), 1u);
  EXPECT_EQ(result.value_comparisons[0].mae.value, 3);
  ASSERT_EQ(result.value_subgroups.size(), 3u);
  EXPECT_EQ(result.value_subgroups[0].scorers[1].mae.value, 2);
  EXPECT_EQ(result.value_subgroups[0].scorers[1].mae_difference.value, -2);
  EXPECT_THAT(result.notes, ElementsAre("subgroup sex = X has no image"));
}

}  // namespace
}  // namespace mii
