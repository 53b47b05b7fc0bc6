#include <algorithm>
#include <cmath>
#include <tuple>

#include "eval/format.h"
#include "eval/report.h"

namespace mii {
namespace {

// Rows of cells, each column as wide as its widest cell; the first two columns of a table of labels are names
// and counts.
class Columns {
 public:
  explicit Columns(std::vector<std::string> header) : rows_{std::move(header)} {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }

  std::string text(const std::string& indent) const {
    std::string text;
    for (const auto& row : rows_) {
      std::string line = indent;
      for (size_t c = 0; c < row.size(); ++c) {
        line += row[c];
        if (c + 1 < row.size()) line += std::string(width(c) - length(row[c]) + 2, ' ');
      }
      text += line + "\n";
    }
    return text;
  }

 private:
  // In characters; bytes that continue one do not count.
  static size_t length(const std::string& cell) {
    return static_cast<size_t>(
        std::ranges::count_if(cell, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
  }
  size_t width(size_t c) const {
    size_t width = 0;
    for (const auto& row : rows_)
      if (c < row.size()) width = std::max(width, length(row[c]));
    return width;
  }

  std::vector<std::vector<std::string>> rows_;
};

std::string scorers_text(const TaskResult& task) {
  const bool top5 = task.labels.size() > 5;
  Columns columns = top5 ? Columns({"", "top-1", "top-5", "macro-AUC"}) : Columns({"", "top-1", "macro-AUC"});
  for (const ScorerResult& s : task.scorers) {
    std::vector<std::string> row{s.name, percent(s.top1), fraction(s.macro_auc)};
    if (top5) row.insert(row.begin() + 2, percent(s.top5));
    columns.add(std::move(row));
  }
  return columns.text("  ");
}

std::string comparisons_text(const TaskResult& task, double margin) {
  std::string text;
  for (const ComparisonResult& c : task.comparisons) {
    text += "  " + c.first + " less " + c.second + ": top-1 " + signed_percent(c.top1) + ", macro-AUC " +
            signed_fraction(c.macro_auc) + ", same answer " + percent(c.agreement);
    if (task.labels.size() == 2) text += ", AUC by DeLong p " + p_value(c.labels.back().p);
    text += "\n";
    if (!c.replaces || std::isnan(c.top1.low)) continue;
    text += format("    worse by no more than %.3g points: ", 100 * margin) +
            (c.top1.low > -margin ? "shown" : "not shown") + "\n";
  }
  return text;
}

// By which rules the thresholds were chosen.
std::string rules_of(const ScorerResult& scorer) {
  std::vector<std::string> rules;
  for (const LabelFigures& label : scorer.labels)
    if (std::ranges::find(rules, label.point.choice.rule) == rules.end())
      rules.push_back(label.point.choice.rule);
  std::string text;
  for (const std::string& rule : rules) text += (text.empty() ? "" : " or ") + rule;
  return text;
}

std::string labels_text(const TaskResult& task, const ScorerResult& scorer) {
  if (scorer.labels.empty()) return "";
  Columns columns({"", "images", "answered", "AUC", "AP", "threshold", "sensitivity", "specificity", "PPV",
                   "NPV", "prevalence"});
  for (size_t k = 0; k < scorer.labels.size(); ++k) {
    const LabelFigures& l = scorer.labels[k];
    const PointResult& p = l.point;
    columns.add({task.labels[k].first, std::to_string(task.labels[k].second), percent(l.recall),
                 fraction(l.auc), fraction(l.average_precision), format("%.4g", p.choice.threshold),
                 percent(p.sensitivity), percent(p.specificity), percent(p.ppv), percent(p.npv),
                 percent(p.prevalence)});
  }
  return "  " + scorer.name +
         format(": ECE %.4f, Brier %.4f; each label against the others, thresholds: ",
                scorer.calibration_error, scorer.brier) +
         rules_of(scorer) + "\n" + columns.text("    ");
}

std::string subgroups_text(const TaskResult& task) {
  if (task.subgroups.empty()) return "";
  Columns columns(
      {"subgroup", "images", "patients", "scorer", "top-1", "less others", "macro-AUC", "less others"});
  for (const SubgroupResult& s : task.subgroups)
    for (const SubgroupFigures& f : s.scorers)
      columns.add({s.column + " = " + s.value, std::to_string(s.images), std::to_string(s.groups), f.scorer,
                   percent(f.top1), signed_percent(f.top1_difference), fraction(f.macro_auc),
                   signed_fraction(f.macro_auc_difference)});
  return columns.text("  ");
}

std::string values_text(const TaskResult& task) {
  if (task.values.empty()) return "";
  Columns columns({"", "MAE", "RMSE", "R2", "bias", "limits of agreement"});
  for (const ValueFigures& v : task.values)
    columns.add({v.name, number(v.mae), number(v.rmse), number(v.r2), number(v.bias),
                 number(v.limit_low) + " to " + number(v.limit_high)});
  std::string text = columns.text("  ");
  for (const ValueComparison& c : task.value_comparisons)
    text += "  " + c.first + " less " + c.second + ": MAE " + number(c.mae) + "\n";
  if (task.value_subgroups.empty()) return text;
  Columns subgroups({"subgroup", "images", "patients", "scorer", "MAE", "less others", "bias"});
  for (const ValueSubgroup& s : task.value_subgroups)
    for (const auto& f : s.scorers)
      subgroups.add({s.column + " = " + s.value, std::to_string(s.images), std::to_string(s.groups), f.scorer,
                     number(f.mae), number(f.mae_difference), number(f.bias)});
  return text + subgroups.text("  ");
}

std::string shots_name(size_t shots) {
  return shots == kAllShots ? "all" : std::to_string(shots) + (shots == 1 ? " image" : " images");
}

// Whether any head is better than zero-shot, and which is best.
std::string best_head(const FewShotResult& few) {
  double best = 0;
  std::string sentence = "no head has a better top-1 than zero-shot";
  for (const FewShotHead& head : few.heads) {
    for (size_t s = 0; s < few.shots.size(); ++s) {
      const double gain = mean_over_draws(head.runs[s], &FewShotFigures::top1) - few.zero_shot.top1;
      if (!(gain > best)) continue;
      best = gain;
      sentence = "best top-1: " + head.name + " fitted to " + shots_name(few.shots[s]) +
                 (few.shots[s] == kAllShots ? " images, " : " of each label, ") +
                 format("%+.1f points to zero-shot", 100 * gain);
    }
  }
  return sentence;
}

std::string few_shot_text(const FewShotResult& few) {
  std::string text;
  for (const auto& [name, which, zero_shot] :
       {std::tuple("top-1", &FewShotFigures::top1, few.zero_shot.top1),
        std::tuple("macro-AUC", &FewShotFigures::macro_auc, few.zero_shot.macro_auc)}) {
    std::vector<std::string> header{std::string("fitted to, ") + name};
    for (const size_t shots : few.shots) header.push_back(shots_name(shots));
    Columns columns(header);
    columns.add({"zero-shot", fraction(zero_shot)});
    for (const FewShotHead& head : few.heads) {
      std::vector<std::string> row{head.name};
      for (const auto& runs : head.runs) row.push_back(over_draws(runs, which));
      columns.add(std::move(row));
    }
    text += columns.text("  ");
  }
  return text + "  " + best_head(few) + "\n";
}

std::string retrieval_text(const RetrievalResult& retrieval) {
  std::string text;
  for (const SearchFigures& search : retrieval.searches) {
    Columns columns(retrieval_header());
    for (auto& row : retrieval_rows(search.all)) columns.add(std::move(row));
    const stats::Averaged& mrr = search.all.reciprocal_rank;
    text += "  " + search.name + ": MRR micro " + fraction(mrr.micro) + ", macro " + fraction(mrr.macro) +
            "\n" + columns.text("    ");
  }
  return text;
}

std::string task_text(const TaskResult& task, double margin) {
  std::string text =
      format("\n%s: %s of %zu patients", task.name.c_str(), items_text(task).c_str(), task.groups);
  if (!task.labels.empty()) text += format(", %zu labels", task.labels.size());
  if (task.retrieval) text += ", searched for among " + indexed_text(task);
  text += "\n";
  if (task.retrieval) text += retrieval_text(*task.retrieval);
  if (!task.scorers.empty()) text += scorers_text(task);
  text += comparisons_text(task, margin);
  for (const ScorerResult& scorer : task.scorers) text += labels_text(task, scorer);
  text += subgroups_text(task) + values_text(task);
  if (task.few_shot) text += few_shot_text(*task.few_shot);
  for (const CorruptionResult& c : task.corruptions)
    text += format("  altered: %-25s %5zu images  top-1 %7s  same answer %7s\n", c.name.c_str(), c.images,
                   percent(c.accuracy).c_str(), percent(c.agreement).c_str());
  for (const std::string& note : task.notes) text += "  note: " + note + "\n";
  return text;
}

}  // namespace

std::string to_table(const EvalReport& report) {
  std::string text = "model: " + report.model + "\ndata:  " + report.data + "\n";
  if (const auto& other = report.other) {
    text += "other: " + other->name + "\n";
    for (const std::string& difference : other->differences) text += "  " + difference + "\n";
    if (const auto& v = other->vectors)
      text += format("  cosine of the two vectors of an image: mean %.5f, 1 in 100 below %.5f, least %.5f\n",
                     v->mean_cosine, v->low_cosine, v->least_cosine);
  }
  for (const TaskResult& task : report.tasks) text += task_text(task, report.margin);
  return text;
}

}  // namespace mii
