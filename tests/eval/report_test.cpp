#include "eval/report.h"

#include <gmock/gmock.h>

#include <cmath>

namespace mii {
namespace {

using testing::HasSubstr;
using testing::Not;

EvalReport report_of(TaskResult task) {
  EvalReport report{.model = "m", .data = "d"};
  report.tasks.push_back(std::move(task));
  return report;
}

TEST(Report, LeavesOutIntervalsThatWereNotAskedFor) {
  TaskResult task{.name = "t", .images = 1, .groups = 1};
  task.scorers = {{.name = "5-NN embeddings", .top1 = {0.75, 0.5, 1}, .macro_auc = {0.875, NAN, NAN}}};
  const EvalReport report = report_of(std::move(task));
  EXPECT_THAT(to_table(report), Not(HasSubstr("nan")));
  EXPECT_THAT(to_table(report), HasSubstr("5-NN embeddings  75.0 % (50.0-100.0)  0.8750\n"));
  EXPECT_THAT(to_html(report), Not(HasSubstr("nan")));
}

TEST(Report, SaysHowSureADifferenceIs) {
  TaskResult task{.name = "t", .images = 1, .groups = 1};
  task.labels = {{"a", 1}, {"b", 1}};
  task.comparisons = {{.first = "x",
                       .second = "y",
                       .top1 = {0.125, -0.25, 0.5},
                       .macro_auc = {-0.0625, NAN, NAN},
                       .agreement = 0.75,
                       .labels = {{{0.1, 0, 0.2}, 1, 0.3}, {{0.1, 0, 0.2}, 1, 0.3}}}};
  const EvalReport report = report_of(std::move(task));
  EXPECT_THAT(to_table(report),
              HasSubstr("x less y: top-1 +12.5 % (-25.0 to +50.0), macro-AUC -0.0625, same answer "
                        "75.0 %, AUC by DeLong p 0.3000\n"));
  EXPECT_THAT(to_json(report),
              HasSubstr(R"("top1": {"value": 0.125, "low": -0.25, "high": 0.5}, "macro_auc")"));
  EXPECT_THAT(to_html(report), HasSubstr("<td>+12.5 % (-25.0 to +50.0)</td><td>-0.0625</td>"));
  EXPECT_THAT(to_html(report), HasSubstr("b +0.1000 (+0.0000 to +0.2000), p 0.3000"));
}

TEST(Report, SaysWhetherAModelMayTakeAnothersPlace) {
  const auto said = [](double low) {
    TaskResult task{.name = "t", .images = 1, .groups = 1};
    task.comparisons = {{.first = "x", .second = "y", .top1 = {0, low, 0.5}, .replaces = true}};
    return to_table(report_of(std::move(task)));
  };
  EXPECT_THAT(said(-0.01), HasSubstr("worse by no more than 2 points: shown\n"));
  EXPECT_THAT(said(-0.03), HasSubstr("worse by no more than 2 points: not shown\n"));
}

TEST(Report, HoldsTheFiguresOfALabel) {
  TaskResult task{.name = "t", .images = 2, .groups = 2};
  task.labels = {{"a", 1}};
  LabelFigures label{.recall = 1, .auc = {0.75, 0.5, 1}, .average_precision = 0.5, .brier = 0.25};
  label.point = {{0.25f, "rule"}, {1, 0.5, 1}, {0.5, 0.25, 0.75}, 0.05, 0.1, 0.99};
  label.curve = {{INFINITY, {0, 0, 1, 1}}, {0.5f, {1, 0, 0, 1}}, {0.25f, {1, 1, 0, 0}}};
  label.net_benefit = {{0.5, 0.1, -0.9}};
  task.scorers = {{.name = "s", .reliability = {{0, 1, 2, 0.5, 0.75}}, .labels = {label}, .confusion = {1}}};
  const EvalReport report = report_of(std::move(task));
  EXPECT_THAT(to_table(report), HasSubstr("a  1       100.0 %   0.7500 (0.5000-1.0000)  0.5000  0.25"));
  EXPECT_THAT(to_json(report),
              HasSubstr(R"({"threshold": 0.5, "sensitivity": 1.0, "specificity": 1.0, "precision": 1.0})"));
  EXPECT_THAT(to_json(report), HasSubstr(R"({"threshold": null, "sensitivity": 0.0)"));
  EXPECT_THAT(to_json(report),
              HasSubstr(R"("net_benefit": [{"threshold": 0.5, "model": 0.1, "treat_all": -0.9}])"));
  const std::string page = to_html(report);
  for (const char* plot : {"ROC", "Precision and recall", "Reliability of the answer", "Decision curves"})
    EXPECT_THAT(page, HasSubstr(std::string("aria-label=\"") + plot));
  EXPECT_THAT(page, Not(HasSubstr("nan")));
  EXPECT_THAT(page, Not(HasSubstr("inf,")));
}

TEST(Report, HoldsNumbersOfATask) {
  TaskResult task{.name = "age", .images = 2, .groups = 2};
  task.values = {{.name = "k",
                  .mae = {2, 1, 3},
                  .rmse = {2.5, NAN, NAN},
                  .bias = {-1, -2, 0},
                  .limit_low = -5,
                  .limit_high = 3,
                  .points = {{50.0f, -1.0f}, {60.0f, 2.0f}}}};
  const EvalReport report = report_of(std::move(task));
  EXPECT_THAT(to_table(report), HasSubstr("k  2 (1 to 3)  2.5   -   -1 (-2 to 0)  -5 to 3\n"));
  EXPECT_THAT(to_json(report), HasSubstr(R"("mae": {"value": 2.0, "low": 1.0, "high": 3.0})"));
  EXPECT_THAT(to_html(report), HasSubstr("Bland and Altman: k"));
}

TEST(Report, HoldsTheFiguresOfRetrieval) {
  TaskResult task{.name = "t", .images = 3, .groups = 2};
  task.labels = {{"a", 3}, {"b", 0}};
  const stats::Averaged none{{NAN, NAN, NAN}, {NAN, NAN, NAN}};
  const stats::RetrievalFigures figures{{{5, {{0.5, 0.25, 0.75}, {0.25, NAN, NAN}}, none, none, none, none}},
                                        {{0.125, NAN, NAN}, {1, 0, 1}}};
  task.retrieval = RetrievalResult{7, {4, 3}, {{"embeddings", figures, {figures, {{{.k = 5}}, none}}}}};
  const EvalReport report = report_of(std::move(task));
  EXPECT_THAT(to_table(report),
              HasSubstr("t: 3 images of 2 patients, 2 labels, searched for among 7 images"));
  EXPECT_THAT(to_table(report), HasSubstr("embeddings: MRR micro 0.1250, macro 1.0000 (0.0000-1.0000)\n"));
  EXPECT_THAT(to_table(report), HasSubstr("    micro    5  50.0 % (25.0-75.0)  -                 -"));
  EXPECT_THAT(to_table(report), HasSubstr("    macro    5  25.0 %              -                 -"));
  EXPECT_THAT(to_json(report), HasSubstr(R"({"label": "b", "images": 0, "indexed": 3})"));
  EXPECT_THAT(
      to_json(report),
      HasSubstr(R"("at": [{"k": 5, "precision": {"micro": {"value": 0.5, "low": 0.25, "high": 0.75})"));
  EXPECT_THAT(to_json(report),
              HasSubstr(R"("labels": [{"label": "a", "at": [{"k": 5, "precision": {"value": 0.5)"));
  EXPECT_THAT(to_html(report),
              HasSubstr("<tr><td>micro</td><td>5</td><td>50.0 % (25.0-75.0)</td><td>-</td>"));
  EXPECT_THAT(to_html(report),
              HasSubstr("<tr><td>a</td><td>3</td><td>4</td><td>50.0 % (25.0-75.0)</td><td>0.1250</td></tr>"));
  EXPECT_THAT(to_html(report), Not(HasSubstr("<td>b</td>")));
  EXPECT_THAT(to_html(report), Not(HasSubstr("nan")));
}

TEST(Report, SaysWhetherAnyHeadIsBetterThanZeroShot) {
  const auto said = [](double top1) {
    TaskResult task{.name = "t", .images = 1, .groups = 1};
    task.few_shot =
        FewShotResult{{4, kAllShots}, {0.75, 0.75}, {{"h", {{{top1, 0.5}, {top1, 0.5}}, {{0.5, 0.5}}}}}};
    return to_table(report_of(std::move(task)));
  };
  EXPECT_THAT(said(0.875),
              HasSubstr("best top-1: h fitted to 4 images of each label, +12.5 points to zero-shot\n"));
  EXPECT_THAT(said(0.75), HasSubstr("no head has a better top-1 than zero-shot\n"));
  EXPECT_THAT(said(0.875), HasSubstr("h                 0.8750 (sd 0.0000)  0.5000\n"));
}

TEST(Report, EscapesWhatComesFromOutside) {
  TaskResult task{.name = "<script>", .images = 1, .groups = 1};
  task.labels = {{"a&\"b\"", 1}};
  task.scorers = {{.name = "<script>", .labels = {{}}, .confusion = {1}}};
  task.scorers[0].labels[0].point.choice.rule = "<script>";
  task.subgroups = {{.column = "<script>", .value = "<script>", .scorers = {{.scorer = "<script>"}}}};
  task.notes = {"<script>"};
  EvalReport report = report_of(std::move(task));
  report.other = OtherModel{"<script>", {"<script>"}, {}};
  EXPECT_THAT(to_html(report), Not(HasSubstr("<script>")));
  EXPECT_THAT(to_html(report), HasSubstr("a&amp;&quot;b&quot;"));
  EXPECT_THAT(to_json(report), HasSubstr(R"("auc": {"value": null)"));
  EXPECT_THAT(to_json(report), HasSubstr(R"("a&\"b\"")"));
}

}  // namespace
}  // namespace mii
