#include "eval/evaluation.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bindings.h"
#include "core/file.h"
#include "eval/encoded.h"
#include "eval/report.h"
#include "eval/subgroups.h"
#include "guarded_engine.h"
#include "heads/fit_head.h"
#include "interrupts.h"
#include "mii/error.h"
#include "pipeline/fit_manifest.h"

namespace mii::python {
namespace {

struct Question {
  std::string manifest;
  std::vector<std::string> fields;
  std::vector<std::string> numbers;
  std::string tasks;
  std::vector<std::string> where;
  std::vector<std::string> neighbours_from;
  std::vector<std::string> subgroups;
  std::vector<std::string> heads;
  size_t k = 5;
  size_t resamples = 1000;
  std::string html;
};

// What is told beside the figures.
struct Remarks {
  std::vector<pipeline::Failure> failures;
  std::vector<std::string> warnings;
};

std::vector<std::unique_ptr<Scorer>> scorers_of(const EncodedModel& model, const Question& question,
                                                Remarks& remarks) {
  std::vector<std::unique_ptr<Scorer>> scorers;
  scorers.push_back(zero_shot_scorer(model));
  scorers.push_back(neighbours_scorer(model, question.k));
  scorers.push_back(pixels_scorer(model, question.k));
  const auto warn = [&](const std::string& sentence) { remarks.warnings.push_back(sentence); };
  for (auto& scorer : head_scorers(model, question.heads, warn)) scorers.push_back(std::move(scorer));
  return scorers;
}

EvalReport report_of(const Engine& engine, const Question& question, const pipeline::ReadOptions& read,
                     Remarks& remarks) {
  Manifest asked = Manifest::read(question.manifest, question.where);
  const std::vector<EvalTask> tasks =
      tasks_about({question.tasks, question.fields, question.numbers}, asked, question.manifest);
  EvaluationOptions options{.figures = {.resamples = question.resamples}, .cancelled = read.cancelled};
  for (const std::string& text : question.subgroups) {
    options.subgroups.push_back(SubgroupColumn::parse(text));
    expect_column(asked, question.manifest, options.subgroups.back().column());
  }
  const EncodedRows data = encode_rows(engine, std::move(asked), read, remarks.failures);
  std::optional<EncodedRows> references;
  if (!question.neighbours_from.empty())
    references = encode_rows(engine, Manifest::read(question.manifest, question.neighbours_from), read,
                             remarks.failures);
  const EncodedModel model{engine, data, references ? &*references : nullptr, ""};
  Evaluation evaluation(options, model, scorers_of(model, question, remarks));
  EvalReport report{.model = engine.info().weights_file, .data = question.manifest};
  for (const std::string& condition : question.where) report.data += ", " + condition;
  for (const EvalTask& task : tasks)
    if (auto result = evaluation.run(task))
      report.tasks.push_back(std::move(*result));
    else
      remarks.warnings.push_back("task '" + task.name + "' left out: no image has " +
                                 (task.number ? "a number there" : "one of its labels"));
  for (TaskResult& mean : evaluation.means()) report.tasks.push_back(std::move(mean));
  if (report.tasks.empty())
    throw Error(ErrorCode::invalid_argument, report.data + ": no image has a label of any task");
  return report;
}

nb::list listed(const std::vector<pipeline::Failure>& failures) {
  nb::list list;
  for (const pipeline::Failure& f : failures) list.append(nb::make_tuple(f.input, f.reason));
  return list;
}

// (all figures as JSON, the same for people, failures, warnings)
nb::tuple evaluate(const GuardedEngine& guarded, const std::string& manifest,
                   const std::vector<std::string>& fields, const std::vector<std::string>& numbers,
                   const std::string& tasks, const std::vector<std::string>& where,
                   const std::vector<std::string>& neighbours_from, const std::vector<std::string>& subgroups,
                   const std::vector<std::string>& heads, size_t k, size_t resamples, const std::string& html,
                   nb::object progress) {
  const auto engine = guarded.get();
  const Question question{manifest,  fields, numbers, tasks,     where, neighbours_from,
                          subgroups, heads,  k,       resamples, html};
  Interrupts interrupts(std::move(progress), 0);
  Remarks remarks;
  std::optional<EvalReport> report;
  std::exception_ptr error;
  {
    const nb::gil_scoped_release released;
    try {
      report = report_of(
          *engine, question,
          {.progress = [&](size_t n) { interrupts.advance(n); }, .cancelled = interrupts.asked()}, remarks);
    } catch (const Error&) {
      error = std::current_exception();
    }
  }
  interrupts.rethrow();
  if (error) std::rethrow_exception(error);
  if (!html.empty()) {
    AtomicFile page(html);
    page.write(to_html(*report));
    page.commit();
  }
  return nb::make_tuple(to_json(*report), to_table(*report), listed(remarks.failures), remarks.warnings);
}

// (the head, failures)
nb::tuple fit(const GuardedEngine& guarded, const std::string& manifest_file, const std::string& field,
              const std::string& kind, const std::vector<std::string>& where,
              const std::vector<std::string>& calibrate_where, bool several, bool with_texts, bool balanced,
              std::optional<double> c, size_t k, const std::vector<std::string>& points,
              const std::string& calibration, uint64_t seed, const DecodeOptions& decode,
              nb::object progress) {
  if (heads::parse_kind(kind) == heads::Kind::mlp)
    throw Error(ErrorCode::unsupported, "kind mlp is fitted by mii fit");
  const auto engine = guarded.get();
  Interrupts interrupts(std::move(progress), 0);
  pipeline::ManifestFit options{.where = where, .calibrate_where = calibrate_where, .several = several};
  options.fit = {.kind = heads::parse_kind(kind),
                 .field = field,
                 .c = c,
                 .balanced = balanced,
                 .k = k,
                 .with_texts = with_texts,
                 .calibration = heads::parse_calibration(calibration),
                 .seed = seed,
                 .data = manifest_file};
  for (const std::string& text : points) options.fit.points.push_back(heads::PointRule::parse(text));
  std::vector<pipeline::Failure> failures;
  std::optional<heads::FittedHead> head;
  std::exception_ptr error;
  {
    const nb::gil_scoped_release released;
    try {
      const Manifest manifest = Manifest::read(manifest_file);
      const pipeline::FitRows rows = pipeline::fit_rows(manifest, options);
      const pipeline::RowVectors encoded = pipeline::encode_rows(
          *engine, manifest, rows, decode,
          {.progress = [&](size_t n) { interrupts.advance(n); }, .cancelled = interrupts.asked()}, failures);
      if (!interrupts.cancelled())
        head.emplace(pipeline::fit_manifest(manifest, rows, encoded, engine.get(), options));
    } catch (const Error&) {
      error = std::current_exception();
    }
  }
  interrupts.rethrow();
  if (error) std::rethrow_exception(error);
  return nb::make_tuple(std::move(*head), listed(failures));
}

}  // namespace

void bind_evaluation(nb::module_& module) {
  module.def("evaluate", &evaluate, nb::arg("engine"), nb::arg("manifest"), nb::arg("fields"),
             nb::arg("numbers"), nb::arg("tasks"), nb::arg("where"), nb::arg("neighbours_from"),
             nb::arg("subgroups"), nb::arg("heads"), nb::arg("k"), nb::arg("resamples"), nb::arg("html"),
             nb::arg("progress").none());
  module.def("fit", &fit, nb::arg("engine"), nb::arg("manifest"), nb::arg("field"), nb::arg("kind"),
             nb::arg("where"), nb::arg("calibrate_where"), nb::arg("several"), nb::arg("with_texts"),
             nb::arg("balanced"), nb::arg("c").none(), nb::arg("k"), nb::arg("points"),
             nb::arg("calibration"), nb::arg("seed"), nb::arg("options"), nb::arg("progress").none());
}

}  // namespace mii::python
