#include "eval/report.h"

#include <gmock/gmock.h>

#include <cmath>

namespace mii {
namespace {

using testing::HasSubstr;
using testing::Not;

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
