#include "eval/metrics.h"

#include <gmock/gmock.h>

#include <cmath>

#include "eval/report.h"

namespace mii {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

Matrix matrix(size_t cols, std::vector<float> values) {
  Matrix m(values.size() / cols, cols);
  std::ranges::copy(values, m.values().begin());
  return m;
}

TEST(Metrics, TopKCountsTiesAgainstTheModel) {
  const Matrix scores = matrix(3, {0.5f, 0.3f, 0.2f, 0.4f, 0.4f, 0.2f, 0.1f, 0.2f, 0.7f});
  const std::vector<size_t> truth{0, 1, 0};
  EXPECT_DOUBLE_EQ(top_k_accuracy(scores, truth, 1), 1.0 / 3);
  EXPECT_DOUBLE_EQ(top_k_accuracy(scores, truth, 2), 2.0 / 3);
  EXPECT_DOUBLE_EQ(top_k_accuracy(scores, truth, 3), 1.0);
}

TEST(Metrics, AucIsTheShareOfPairsInOrder) {
  // Pairs of positive and negative: 0.8 > 0.6, 0.8 > 0.1, 0.6 = 0.6 (half), 0.6 > 0.1.
  EXPECT_DOUBLE_EQ(roc_auc(std::vector{0.8f, 0.6f, 0.6f, 0.1f}, {true, true, false, false}), 3.5 / 4);
  EXPECT_DOUBLE_EQ(roc_auc(std::vector{0.5f, 0.5f}, {true, false}), 0.5);
  EXPECT_DOUBLE_EQ(roc_auc(std::vector{0.1f, 0.9f}, {true, false}), 0.0);
  EXPECT_TRUE(std::isnan(roc_auc(std::vector{0.1f, 0.9f}, {true, true})));
}

TEST(Metrics, MacroAucLeavesOutLabelsWithoutImages) {
  const Matrix scores = matrix(3, {0.9f, 0.1f, 0.0f, 0.2f, 0.8f, 0.0f, 0.6f, 0.4f, 0.0f});
  EXPECT_DOUBLE_EQ(macro_auc(scores, std::vector<size_t>{0, 1, 0}), 1.0);
}

TEST(Metrics, RocCurveMovesThroughTiesAtOnce) {
  const auto curve = roc_curve(std::vector{0.9f, 0.5f, 0.5f, 0.1f}, {true, true, false, false});
  EXPECT_THAT(
      curve, ElementsAre(std::pair(0.0, 0.0), std::pair(0.0, 0.5), std::pair(0.5, 1.0), std::pair(1.0, 1.0)));
}

TEST(Metrics, ConfusionHasTruthInRows) {
  const Matrix scores = matrix(2, {0.9f, 0.1f, 0.8f, 0.2f, 0.3f, 0.7f});
  EXPECT_THAT(confusion(scores, std::vector<size_t>{0, 1, 1}), ElementsAre(1, 0, 1, 1));
}

TEST(Metrics, BootstrapDrawsWholePatients) {
  // Ten images of one patient, all right, and ten of another, all wrong: a mean over patients is 0, 1/2 or 1.
  std::vector<std::string> groups(10, "a");
  groups.resize(20, "b");
  const auto share = [](std::span<const size_t> rows) {
    return static_cast<double>(std::ranges::count_if(rows, [](size_t r) { return r < 10; })) /
           static_cast<double>(rows.size());
  };
  const Estimate e = bootstrap(groups, 500, 1, share);
  EXPECT_DOUBLE_EQ(e.value, 0.5);
  EXPECT_DOUBLE_EQ(e.low, 0);
  EXPECT_DOUBLE_EQ(e.high, 1);
  const Estimate again = bootstrap(groups, 500, 1, share);
  EXPECT_EQ(again.low, e.low);
}

TEST(Metrics, NeighboursNeverComeFromTheSamePatient) {
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

TEST(Metrics, NeighboursVoteAndTheNearestBreaksATie) {
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

TEST(Report, LeavesOutIntervalsThatWereNotAskedFor) {
  EvalReport report{"m", "d", 5, {}};
  TaskResult task{.name = "t", .images = 1, .groups = 1};
  task.top1 = {0.5, NAN, NAN};
  task.macro_auc = {NAN, NAN, NAN};
  task.neighbours = {{"embeddings", {0.75, 0.5, 1}, {0.875, NAN, NAN}}};
  report.tasks.push_back(task);
  EXPECT_THAT(to_table(report), Not(HasSubstr("nan")));
  EXPECT_THAT(to_table(report), HasSubstr("75.0 % (50.0-100.0), macro-AUC 0.8750\n"));
  EXPECT_THAT(to_html(report), Not(HasSubstr("nan")));
}

TEST(Report, SaysHowSureTheDifferenceOfNeighboursIs) {
  EvalReport report{"m", "d", 5, {}};
  TaskResult task{.name = "t", .images = 1, .groups = 1};
  task.difference = {"difference", {0.125, -0.25, 0.5}, {-0.0625, NAN, NAN}};
  report.tasks.push_back(task);
  EXPECT_THAT(to_table(report), HasSubstr("difference    +12.5 % (-25.0 to +50.0), macro-AUC -0.0625\n"));
  EXPECT_THAT(
      to_json(report),
      HasSubstr(R"("difference": {"top1": {"value": 0.125, "low": -0.25, "high": 0.5}, "macro_auc")"));
  EXPECT_THAT(to_html(report), HasSubstr("<td>+12.5 % (-25.0 to +50.0)</td><td>-0.0625</td>"));
}

TEST(Report, EscapesWhatComesFromOutside) {
  EvalReport report{"m", "d", 5, {}};
  TaskResult task{.name = "<script>", .images = 1, .groups = 1};
  task.labels = {{"a&\"b\"", 1, 1, NAN, {{0, 0}, {1, 1}}}};
  task.confusion = {1};
  report.tasks.push_back(task);
  EXPECT_THAT(to_html(report), Not(HasSubstr("<script>")));
  EXPECT_THAT(to_html(report), HasSubstr("a&amp;&quot;b&quot;"));
  EXPECT_THAT(to_json(report), HasSubstr("\"auc\": null"));
  EXPECT_THAT(to_json(report), HasSubstr(R"("a&\"b\"")"));
  EXPECT_THAT(to_table(report), HasSubstr("sensitivity 100.0 %"));
}

}  // namespace
}  // namespace mii
