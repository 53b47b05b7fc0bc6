#include <span>

#include "core/json_writer.h"
#include "eval/format.h"
#include "eval/report.h"

namespace mii {
namespace {

void add(JsonWriter& json, const char* name, const Estimate& e) {
  json.key(name).begin_object();
  json.member("value", e.value).member("low", e.low).member("high", e.high).end_object();
}

template <typename Range, typename Add>
void add_list(JsonWriter& json, const char* name, const Range& range, const Add& add_one) {
  json.key(name).begin_array();
  for (const auto& one : range) add_one(one);
  json.end_array();
}

void add_reliability(JsonWriter& json, std::span<const stats::ReliabilityBin> bins) {
  add_list(json, "reliability", bins, [&](const stats::ReliabilityBin& bin) {
    json.begin_object().member("low", bin.low).member("high", bin.high).member("images", bin.cases);
    json.member("said", bin.mean_probability).member("true", bin.share_true).end_object();
  });
}

void add_point(JsonWriter& json, const PointResult& point) {
  json.key("point").begin_object();
  json.member("threshold", static_cast<double>(point.choice.threshold)).member("rule", point.choice.rule);
  add(json, "sensitivity", point.sensitivity);
  add(json, "specificity", point.specificity);
  json.member("prevalence", point.prevalence).member("ppv", point.ppv).member("npv", point.npv).end_object();
}

void add_label(JsonWriter& json, const std::string& name, const LabelFigures& label) {
  json.begin_object().member("label", name).member("answered", label.recall);
  add(json, "auc", label.auc);
  json.member("average_precision", label.average_precision);
  json.member("calibration_error", label.calibration_error).member("brier", label.brier);
  add_point(json, label.point);
  add_list(json, "curve", label.curve, [&](const stats::Cut& cut) {
    json.begin_object().member("threshold", static_cast<double>(cut.threshold));
    json.member("sensitivity", cut.counts.sensitivity()).member("specificity", cut.counts.specificity());
    json.member("precision", cut.counts.precision()).end_object();
  });
  add_reliability(json, label.reliability);
  add_list(json, "net_benefit", label.net_benefit, [&](const stats::NetBenefit& b) {
    json.begin_object().member("threshold", b.threshold).member("model", b.model);
    json.member("treat_all", b.treat_all).end_object();
  });
  json.end_object();
}

void add_scorer(JsonWriter& json, const TaskResult& task, const ScorerResult& scorer) {
  json.begin_object().member("name", scorer.name);
  add(json, "top1", scorer.top1);
  add(json, "top5", scorer.top5);
  add(json, "macro_auc", scorer.macro_auc);
  if (!scorer.labels.empty()) {
    json.member("calibration_error", scorer.calibration_error).member("brier", scorer.brier);
    add_reliability(json, scorer.reliability);
    json.key("labels").begin_array();
    for (size_t k = 0; k < scorer.labels.size(); ++k) add_label(json, task.labels[k].first, scorer.labels[k]);
    json.end_array();
    const std::span counts(scorer.confusion);
    const size_t n = task.labels.size();
    json.key("confusion").begin_array();
    for (size_t i = 0; i < counts.size(); i += n) json.value(counts.subspan(i, n));
    json.end_array();
  }
  json.end_object();
}

void add_comparison(JsonWriter& json, const TaskResult& task, const ComparisonResult& comparison) {
  json.begin_object().member("first", comparison.first).member("second", comparison.second);
  add(json, "top1", comparison.top1);
  add(json, "macro_auc", comparison.macro_auc);
  json.member("same_answer", comparison.agreement);
  json.key("labels").begin_array();
  for (size_t k = 0; k < comparison.labels.size(); ++k) {
    const stats::DelongTest& test = comparison.labels[k];
    json.begin_object().member("label", task.labels[k].first);
    add(json, "auc", test.difference);
    json.member("z", test.z).member("p", test.p).end_object();
  }
  json.end_array().end_object();
}

void add_subgroup(JsonWriter& json, const TaskResult& task, const SubgroupResult& subgroup) {
  json.begin_object().member("column", subgroup.column).member("value", subgroup.value);
  json.member("images", subgroup.images).member("patients", subgroup.groups);
  add_list(json, "scorers", subgroup.scorers, [&](const SubgroupFigures& f) {
    json.begin_object().member("name", f.scorer);
    add(json, "top1", f.top1);
    add(json, "top1_less_others", f.top1_difference);
    add(json, "macro_auc", f.macro_auc);
    add(json, "macro_auc_less_others", f.macro_auc_difference);
    json.key("labels").begin_array();
    for (size_t k = 0; k < f.labels.size(); ++k) {
      const SubgroupLabel& l = f.labels[k];
      json.begin_object().member("label", task.labels[k].first).member("images", l.images);
      add(json, "auc", l.auc);
      add(json, "sensitivity", l.sensitivity);
      add(json, "sensitivity_less_others", l.sensitivity_difference);
      add(json, "specificity", l.specificity);
      add(json, "specificity_less_others", l.specificity_difference);
      json.end_object();
    }
    json.end_array().end_object();
  });
  json.end_object();
}

void add_values(JsonWriter& json, const TaskResult& task) {
  add_list(json, "values", task.values, [&](const ValueFigures& v) {
    json.begin_object().member("name", v.name);
    add(json, "mae", v.mae);
    add(json, "rmse", v.rmse);
    add(json, "r2", v.r2);
    add(json, "bias", v.bias);
    json.member("limit_low", v.limit_low).member("limit_high", v.limit_high).end_object();
  });
  add_list(json, "comparisons", task.value_comparisons, [&](const ValueComparison& c) {
    json.begin_object().member("first", c.first).member("second", c.second);
    add(json, "mae", c.mae);
    json.end_object();
  });
  add_list(json, "subgroups", task.value_subgroups, [&](const ValueSubgroup& s) {
    json.begin_object().member("column", s.column).member("value", s.value);
    json.member("images", s.images).member("patients", s.groups);
    add_list(json, "scorers", s.scorers, [&](const ValueSubgroup::Figures& f) {
      json.begin_object().member("name", f.scorer);
      add(json, "mae", f.mae);
      add(json, "mae_less_others", f.mae_difference);
      add(json, "bias", f.bias);
      json.end_object();
    });
    json.end_object();
  });
}

// A list for each number of shots, with the figure of each draw.
void add_draws(JsonWriter& json, const char* name, const FewShotHead& head, double FewShotFigures::*which) {
  add_list(json, name, head.runs, [&](const std::vector<FewShotFigures>& draws) {
    json.begin_array();
    for (const FewShotFigures& draw : draws) json.value(draw.*which);
    json.end_array();
  });
}

void add_few_shot(JsonWriter& json, const FewShotResult& few) {
  json.key("few_shot").begin_object();
  add_list(json, "shots", few.shots, [&](size_t shots) {
    if (shots == kAllShots)
      json.value("all");
    else
      json.value(shots);
  });
  json.key("zero_shot").begin_object().member("top1", few.zero_shot.top1);
  json.member("macro_auc", few.zero_shot.macro_auc).end_object();
  add_list(json, "heads", few.heads, [&](const FewShotHead& head) {
    json.begin_object().member("name", head.name);
    add_draws(json, "top1", head, &FewShotFigures::top1);
    add_draws(json, "macro_auc", head, &FewShotFigures::macro_auc);
    json.end_object();
  });
  json.end_object();
}

void add_labelled(JsonWriter& json, const TaskResult& task) {
  add_list(json, "labels", task.labels, [&](const auto& label) {
    json.begin_object().member("label", label.first).member("images", label.second).end_object();
  });
  add_list(json, "scorers", task.scorers, [&](const ScorerResult& s) { add_scorer(json, task, s); });
  add_list(json, "comparisons", task.comparisons,
           [&](const ComparisonResult& c) { add_comparison(json, task, c); });
  add_list(json, "subgroups", task.subgroups, [&](const SubgroupResult& s) { add_subgroup(json, task, s); });
  if (task.few_shot) add_few_shot(json, *task.few_shot);
  add_list(json, "altered", task.corruptions, [&](const CorruptionResult& c) {
    json.begin_object().member("name", c.name).member("images", c.images);
    json.member("top1", c.accuracy).member("same_answer", c.agreement).end_object();
  });
}

void add(JsonWriter& json, const char* name, const stats::Averaged& averaged) {
  json.key(name).begin_object();
  add(json, "micro", averaged.micro);
  add(json, "macro", averaged.macro);
  json.end_object();
}

// of: what is told of a figure's averages.
template <typename Of>
void add_figures(JsonWriter& json, const stats::RetrievalFigures& figures, const Of& of) {
  add_list(json, "at", figures.at, [&](const stats::RetrievalFigures::AtK& at) {
    json.begin_object().member("k", at.k);
    for (const RetrievalColumn& column : kRetrievalColumns) add(json, column.key, of(at.*column.which));
    json.end_object();
  });
  add(json, "mrr", of(figures.reciprocal_rank));
}

void add_retrieval(JsonWriter& json, const TaskResult& task) {
  const RetrievalResult& retrieval = *task.retrieval;
  json.member("indexed", retrieval.indexed);
  if (retrieval.slices)
    json.member("slices", retrieval.slices->asked).member("indexed_slices", retrieval.slices->indexed);
  json.key("labels").begin_array();
  for (size_t k = 0; k < task.labels.size(); ++k) {
    json.begin_object().member("label", task.labels[k].first).member(items_name(task), task.labels[k].second);
    json.member("indexed", retrieval.indexed_of_label[k]).end_object();
  }
  json.end_array();
  add_list(json, "searches", retrieval.searches, [&](const SearchFigures& search) {
    json.begin_object().member("name", search.name);
    add_figures(json, search.all, [](const stats::Averaged& averages) { return averages; });
    json.key("labels").begin_array();
    for (size_t k = 0; k < search.labels.size(); ++k) {
      json.begin_object().member("label", task.labels[k].first);
      // Of one label, both averages are the same.
      add_figures(json, search.labels[k], [](const stats::Averaged& averages) { return averages.micro; });
      json.end_object();
    }
    json.end_array().end_object();
  });
}

void add_task(JsonWriter& json, const TaskResult& task) {
  json.begin_object();
  json.member("name", task.name).member(items_name(task), task.images).member("patients", task.groups);
  if (task.retrieval)
    add_retrieval(json, task);
  else if (task.values.empty())
    add_labelled(json, task);
  else
    add_values(json, task);
  json.member("notes", task.notes).end_object();
}

void add_other(JsonWriter& json, const OtherModel& other) {
  json.key("other").begin_object().member("model", other.name).member("differences", other.differences);
  if (const auto& v = other.vectors) {
    json.key("cosine").begin_object().member("images", v->images).member("mean", v->mean_cosine);
    json.member("one_in_100_below", v->low_cosine).member("least", v->least_cosine).end_object();
  }
  json.end_object();
}

}  // namespace

std::string to_json(const EvalReport& report) {
  JsonWriter json(JsonWriter::Style::spaced);
  json.begin_object();
  json.member("model", report.model).member("data", report.data);
  if (report.other) add_other(json, *report.other);
  add_list(json, "tasks", report.tasks, [&](const TaskResult& task) { add_task(json, task); });
  json.end_object();
  return json.finish() + '\n';
}

}  // namespace mii
