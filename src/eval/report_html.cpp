#include <algorithm>
#include <cmath>

#include "core/base64.h"
#include "core/number_text.h"
#include "eval/format.h"
#include "eval/plots.h"
#include "eval/report.h"

namespace mii {
namespace {

std::string row(const std::vector<std::string>& cells, const char* tag = "td") {
  std::string html = "<tr>";
  for (const std::string& cell : cells) html += format("<%s>", tag) + cell + format("</%s>", tag);
  return html + "</tr>";
}

std::string table(const std::vector<std::string>& header, const std::string& rows) {
  return "<table>" + row(header, "th") + rows + "</table>";
}

std::string scorers_html(const TaskResult& task) {
  std::string rows;
  for (const ScorerResult& s : task.scorers)
    rows += row({html_text(s.name), percent(s.top1), percent(s.top5), fraction(s.macro_auc)});
  return table({"", "top-1", "top-5", "macro AUC"}, rows);
}

std::string comparisons_html(const TaskResult& task) {
  if (task.comparisons.empty()) return "";
  std::string rows;
  for (const ComparisonResult& c : task.comparisons) {
    std::string tests;
    for (size_t k = 0; k < c.labels.size(); ++k)
      tests += html_text(task.labels[k].first) + " " + signed_fraction(c.labels[k].difference) + ", p " +
               html_text(p_value(c.labels[k].p)) + "<br>";
    rows += row({html_text(c.first + " less " + c.second), signed_percent(c.top1),
                 signed_fraction(c.macro_auc), percent(c.agreement), tests});
  }
  return table({"", "top-1", "macro AUC", "same answer", "AUC of each label, DeLong"}, rows);
}

using Curve = std::vector<std::pair<double, double>>;

// One plot of a curve of each label.
template <typename CurveOf>
std::string label_plot(const Axes& axes, const TaskResult& task, const ScorerResult& scorer,
                       const CurveOf& curve_of, std::vector<Line> lines) {
  for (size_t k = 0; k < scorer.labels.size(); ++k)
    lines.push_back({task.labels[k].first, colour_of(k), curve_of(scorer.labels[k]), false, false});
  return plot_svg(axes, lines);
}

std::string roc_plot(const TaskResult& task, const ScorerResult& scorer) {
  const auto curve = [](const LabelFigures& label) {
    Curve points;
    for (const stats::Cut& cut : label.curve)
      points.emplace_back(1 - cut.counts.specificity(), cut.counts.sensitivity());
    return points;
  };
  return label_plot({"ROC", "1 - specificity", "sensitivity"}, task, scorer, curve,
                    {{"chance", "#ccc", {{0, 0}, {1, 1}}, true, false}});
}

std::string precision_recall_plot(const TaskResult& task, const ScorerResult& scorer) {
  const auto curve = [](const LabelFigures& label) {
    Curve points;
    for (const stats::Cut& cut : label.curve)
      points.emplace_back(cut.counts.sensitivity(), cut.counts.precision());
    return points;
  };
  return label_plot({"Precision and recall", "sensitivity (recall)", "precision"}, task, scorer, curve, {});
}

std::string reliability_plot(const ScorerResult& scorer) {
  Curve points;
  for (const stats::ReliabilityBin& bin : scorer.reliability)
    points.emplace_back(bin.mean_probability, bin.share_true);
  const Line lines[] = {{"perfect", "#ccc", {{0, 0}, {1, 1}}, true, false},
                        {"the answer", "#1f5fbf", points, false, true}};
  return plot_svg(
      {format("Reliability of the answer, ECE %.3f", scorer.calibration_error), "probability", "share right"},
      lines);
}

std::string decision_plot(const TaskResult& task, const ScorerResult& scorer) {
  double top = 0.01;
  for (const LabelFigures& label : scorer.labels) top = std::max(top, label.point.prevalence);
  const auto curve = [](const LabelFigures& label) {
    Curve points;
    for (const stats::NetBenefit& b : label.net_benefit) points.emplace_back(b.threshold, b.model);
    return points;
  };
  std::vector<Line> lines{{"treat none", "#999", {{0, 0}, {1, 0}}, true, false}};
  for (size_t k = 0; k < scorer.labels.size(); ++k) {
    Curve all;
    for (const stats::NetBenefit& b : scorer.labels[k].net_benefit)
      if (b.treat_all > -0.1 * top) all.emplace_back(b.threshold, b.treat_all);
    lines.push_back({task.labels[k].first + ", treat all", colour_of(k), all, true, false});
  }
  return label_plot(
      {"Decision curves (dashed: treat all)", "threshold probability", "net benefit", 0, 1, -0.1 * top, top},
      task, scorer, curve, std::move(lines));
}

std::string labels_html(const TaskResult& task, const ScorerResult& scorer) {
  std::string rows;
  for (size_t k = 0; k < scorer.labels.size(); ++k) {
    const LabelFigures& l = scorer.labels[k];
    const PointResult& p = l.point;
    rows +=
        row({"<span class=\"key\" style=\"background:" + colour_of(k) + "\"></span>",
             html_text(task.labels[k].first), std::to_string(task.labels[k].second), percent(l.recall),
             fraction(l.auc), fraction(l.average_precision), fraction(l.calibration_error), fraction(l.brier),
             format("%.4g, ", p.choice.threshold) + html_text(p.choice.rule), percent(p.sensitivity),
             percent(p.specificity), percent(p.ppv), percent(p.npv), percent(p.prevalence)});
  }
  return table({"", "label", "images", "answered", "AUC", "average precision", "ECE", "Brier", "threshold",
                "sensitivity", "specificity", "PPV", "NPV", "at a prevalence of"},
               rows);
}

std::string scorer_html(const TaskResult& task, const ScorerResult& scorer) {
  if (scorer.labels.empty()) return "";
  return "<h3>" + html_text(scorer.name) + "</h3><div class=\"plots\">" +
         confusion_svg(task.labels, scorer.confusion) + roc_plot(task, scorer) +
         precision_recall_plot(task, scorer) + reliability_plot(scorer) + decision_plot(task, scorer) +
         "</div>" + labels_html(task, scorer);
}

std::string subgroups_html(const TaskResult& task) {
  if (task.subgroups.empty()) return "";
  std::string rows;
  for (const SubgroupResult& s : task.subgroups) {
    for (const SubgroupFigures& f : s.scorers) {
      std::string labels;
      for (size_t k = 0; k < f.labels.size(); ++k)
        labels += html_text(task.labels[k].first) + ": sensitivity " + percent(f.labels[k].sensitivity) +
                  ", specificity " + percent(f.labels[k].specificity) + "<br>";
      rows += row({html_text(s.column + " = " + s.value), std::to_string(s.images), std::to_string(s.groups),
                   html_text(f.scorer), percent(f.top1), signed_percent(f.top1_difference),
                   fraction(f.macro_auc), signed_fraction(f.macro_auc_difference), labels});
    }
  }
  return "<h3>Subgroups</h3>" + table({"subgroup", "images", "patients", "scorer", "top-1", "less the others",
                                       "macro AUC", "less the others", "at the thresholds"},
                                      rows);
}

// The differences of predictions from the truth by Bland and Altman.
std::string bland_altman_plot(const ValueFigures& v) {
  Curve points;
  for (const auto& [mean, difference] : v.points) points.emplace_back(mean, difference);
  Axes axes{"Bland and Altman: " + v.name, "mean of prediction and truth", "prediction less truth"};
  const auto [low, high] = std::ranges::minmax_element(points);
  axes.x_low = low->first - 0.5;
  axes.x_high = high->first + 0.5;
  double reach = 1e-6;
  for (const auto& [mean, difference] : points) reach = std::max(reach, std::abs(difference));
  axes.y_low = -reach;
  axes.y_high = reach;
  const auto level = [&](const char* name, double y) {
    return Line{name, "#999", {{axes.x_low, y}, {axes.x_high, y}}, true, false};
  };
  return plot_svg(axes, std::vector{level("bias", v.bias.value), level("limit", v.limit_low),
                                    level("limit", v.limit_high),
                                    Line{v.name, "#1f5fbf", std::move(points), false, true}});
}

std::string values_html(const TaskResult& task) {
  if (task.values.empty()) return "";
  std::string rows, plots;
  for (const ValueFigures& v : task.values) {
    rows += row({html_text(v.name), number(v.mae), number(v.rmse), number(v.r2), number(v.bias),
                 number(v.limit_low) + " to " + number(v.limit_high)});
    plots += bland_altman_plot(v);
  }
  std::string html = table({"", "MAE", "RMSE", "R²", "bias", "limits of agreement"}, rows) +
                     "<div class=\"plots\">" + plots + "</div>";
  rows.clear();
  for (const ValueComparison& c : task.value_comparisons)
    rows += row({html_text(c.first + " less " + c.second), number(c.mae)});
  if (!rows.empty()) html += table({"", "MAE"}, rows);
  rows.clear();
  for (const ValueSubgroup& s : task.value_subgroups)
    for (const auto& f : s.scorers)
      rows += row({html_text(s.column + " = " + s.value), std::to_string(s.images), std::to_string(s.groups),
                   html_text(f.scorer), number(f.mae), number(f.mae_difference), number(f.bias)});
  if (!rows.empty())
    html += "<h3>Subgroups</h3>" +
            table({"subgroup", "images", "patients", "scorer", "MAE", "less the others", "bias"}, rows);
  return html;
}

// Top-1 by the numbers of shots, equally spaced.
std::string few_shot_plot(const FewShotResult& few) {
  const auto place = [&](size_t s) { return static_cast<double>(s) + 1; };
  std::vector<Line> lines{{"zero-shot", "#999", {}, true, false}};
  for (size_t s = 0; s < few.shots.size(); ++s) lines[0].points.emplace_back(place(s), few.zero_shot.top1);
  for (size_t h = 0; h < few.heads.size(); ++h) {
    lines.push_back({few.heads[h].name, colour_of(h), {}, false, true});
    for (size_t s = 0; s < few.shots.size(); ++s)
      lines.back().points.emplace_back(place(s),
                                       mean_over_draws(few.heads[h].runs[s], &FewShotFigures::top1));
  }
  return plot_svg({"Top-1 (dashed: zero-shot)", "columns of the table", "top-1", 0.5,
                   static_cast<double>(few.shots.size()) + 0.5, 0, 1},
                  lines);
}

std::string few_shot_html(const FewShotResult& few) {
  std::vector<std::string> header{"", "fitted to"};
  for (const size_t shots : few.shots)
    header.push_back(shots == kAllShots ? "all images" : std::to_string(shots) + " of each label");
  std::string rows =
      row({"", "zero-shot", fraction(few.zero_shot.top1) + ", AUC " + fraction(few.zero_shot.macro_auc)});
  for (size_t h = 0; h < few.heads.size(); ++h) {
    std::vector<std::string> cells{"<span class=\"key\" style=\"background:" + colour_of(h) + "\"></span>",
                                   html_text(few.heads[h].name)};
    for (const auto& draws : few.heads[h].runs)
      cells.push_back(over_draws(draws, &FewShotFigures::top1) + ", AUC " +
                      over_draws(draws, &FewShotFigures::macro_auc));
    rows += row(cells);
  }
  return "<h3>Heads fitted to few images</h3>" + table(header, rows) + "<div class=\"plots\">" +
         few_shot_plot(few) + "</div>";
}

std::string altered_html(const TaskResult& task) {
  if (task.corruptions.empty()) return "";
  std::string rows;
  for (const CorruptionResult& c : task.corruptions)
    rows += row({html_text(c.name), std::to_string(c.images), percent(c.accuracy), percent(c.agreement)});
  return "<h3>The same images, altered</h3>" + table({"", "images", "top-1", "same answer"}, rows);
}

std::string examples_html(const TaskResult& task) {
  if (task.examples.empty()) return "";
  std::string html = "<h3>Examples</h3><div class=\"examples\">";
  for (const Example& e : task.examples)
    html += std::string("<figure class=\"") + (e.truth == e.predicted ? "right" : "wrong") +
            "\"><img alt=\"\" src=\"data:image/jpeg;base64," + encode_base64(e.jpeg) + "\"><figcaption>" +
            html_text(e.predicted) + format(" %.0f %%", 100 * e.probability) +
            (e.truth == e.predicted ? "" : "<br>is: " + html_text(e.truth)) + "</figcaption></figure>";
  return html + "</div>";
}

// The precision of each label's queries.
std::string retrieval_labels_html(const TaskResult& task, const SearchFigures& search) {
  std::vector<std::string> header{"label", items_name(task), "in the index"};
  for (const auto& at : search.all.at) header.push_back(format("precision at %zu", at.k));
  header.push_back("MRR");
  std::string rows;
  for (size_t k = 0; k < search.labels.size(); ++k) {
    if (task.labels[k].second == 0) continue;
    std::vector<std::string> cells{html_text(task.labels[k].first), std::to_string(task.labels[k].second),
                                   std::to_string(task.retrieval->indexed_of_label[k])};
    for (const auto& at : search.labels[k].at) cells.push_back(percent(at.precision.micro));
    cells.push_back(fraction(search.labels[k].reciprocal_rank.micro));
    rows += row(cells);
  }
  return table(header, rows);
}

std::string retrieval_html(const TaskResult& task) {
  if (!task.retrieval) return "";
  std::string html = "<p>Searched for among " + indexed_text(task) + ".</p>";
  for (const SearchFigures& search : task.retrieval->searches) {
    std::string rows;
    for (const auto& cells : retrieval_rows(search.all)) rows += row(cells);
    const stats::Averaged& mrr = search.all.reciprocal_rank;
    html += "<h3>" + html_text(search.name) + "</h3><p>MRR: micro " + fraction(mrr.micro) + ", macro " +
            fraction(mrr.macro) + "</p>" + table(retrieval_header(), rows) +
            retrieval_labels_html(task, search);
  }
  return html;
}

std::string task_html(const TaskResult& task) {
  std::string html = "<h2>" + html_text(task.name) + "</h2>" + "<p>" + items_text(task) +
                     format(" of %zu patients</p>", task.groups);
  if (!task.scorers.empty()) html += scorers_html(task);
  html += retrieval_html(task) + comparisons_html(task);
  for (const ScorerResult& scorer : task.scorers) html += scorer_html(task, scorer);
  html += subgroups_html(task) + values_html(task);
  if (task.few_shot) html += few_shot_html(*task.few_shot);
  html += altered_html(task) + examples_html(task);
  for (const std::string& note : task.notes) html += "<p>Note: " + html_text(note) + ".</p>";
  return html;
}

std::string other_html(const OtherModel& other) {
  std::string html = "<br>Other model: " + html_text(other.name);
  for (const std::string& difference : other.differences) html += "<br>" + html_text(difference);
  if (const auto& v = other.vectors)
    html += format("<br>Cosine of the two vectors of an image: mean %.5f, 1 in 100 below %.5f, least %.5f",
                   v->mean_cosine, v->low_cosine, v->least_cosine);
  return html;
}

}  // namespace

std::string to_html(const EvalReport& report) {
  std::string html =
      "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width\">"
      "<title>Evaluation</title><style>"
      "body{font:15px/1.5 system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;color:#222}"
      "table{border-collapse:collapse;margin:1em 0}td,th{border:1px solid #ddd;padding:.25em "
      ".7em;text-align:left}"
      "svg{font:11px "
      "system-ui,sans-serif;max-width:100%}.plots{display:flex;flex-wrap:wrap;gap:1em;align-items:start;"
      "overflow-x:auto}"
      ".key{display:inline-block;width:1em;height:1em}.examples{display:flex;flex-wrap:wrap;gap:.6em}"
      "figure{margin:0;width:112px;font-size:11px;line-height:1.3}figure img{width:100%;border:3px solid}"
      ".right img{border-color:#1a7f37}.wrong img{border-color:#c62828}</style>"
      "<h1>Evaluation</h1><p>Model: " +
      html_text(report.model) + "<br>Data: " + html_text(report.data) +
      (report.other ? other_html(*report.other) : "") +
      "<br>In brackets: 95 % confidence intervals: of AUC by DeLong, of sensitivity and specificity by "
      "Wilson, of the rest "
      "by bootstrap over patients. Not for clinical use.</p>";
  for (const TaskResult& task : report.tasks) html += task_html(task);
  return html + "</html>\n";
}

}  // namespace mii
