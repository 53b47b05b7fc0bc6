#include <cstdio>
#include <memory>
#include <optional>

#include "commands.h"
#include "core/file.h"
#include "core/utf8.h"
#include "eval/evaluation.h"
#include "interrupt.h"
#include "mii/error.h"
#include "model_flags.h"
#include "outcome.h"
#include "output.h"

namespace mii {
namespace {

struct Flags {
  ModelFlags model;
  std::string manifest;
  std::string tasks;
  std::vector<std::string> fields;
  std::vector<std::string> where;
  std::vector<std::string> neighbours_from;
  size_t k = 5;
  size_t resamples = 1000;
  std::string html;
  std::string json;
};

void write_text(const std::string& path, const std::string& text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

EncodedRows encode(const Engine& engine, Manifest manifest, const Flags& flags,
                   std::vector<pipeline::Failure>& failures) {
  Progress progress(manifest.rows(), "images", flags.model.quiet);
  return encode_rows(engine, std::move(manifest), read_options(progress), failures);
}

int evaluate(const Flags& flags) {
  std::vector<EvalTask> tasks = flags.tasks.empty() ? std::vector<EvalTask>{} : read_tasks(flags.tasks);
  for (const std::string& field : flags.fields) tasks.push_back({.name = field, .field = field});
  if (tasks.empty())
    throw Error(ErrorCode::invalid_argument, "nothing is asked: --tasks or --field is needed");
  Manifest asked = Manifest::read(flags.manifest);
  for (const std::string& condition : flags.where) asked.keep_where(condition);
  for (const EvalTask& task : tasks)
    if (!asked.has(task.field))
      throw Error(ErrorCode::invalid_argument, flags.manifest + ": has no column '" + task.field + "'");

  const Engine engine = flags.model.open();
  std::vector<pipeline::Failure> failures;
  const EncodedRows data = encode(engine, std::move(asked), flags, failures);
  std::optional<EncodedRows> references;
  if (!flags.neighbours_from.empty()) {
    Manifest known = Manifest::read(flags.manifest);
    for (const std::string& condition : flags.neighbours_from) known.keep_where(condition);
    references = encode(engine, std::move(known), flags, failures);
  }
  EvalReport report{engine.info().weights_file, flags.manifest, flags.k, {}};
  for (const std::string& condition : flags.where) report.data += ", " + condition;
  Evaluation evaluation({.k = flags.k, .resamples = flags.resamples, .cancelled = interrupted}, engine, data,
                        references ? &*references : nullptr);
  for (const EvalTask& task : tasks) {
    if (interrupted()) break;
    if (auto result = evaluation.run(task))
      report.tasks.push_back(std::move(*result));
    else if (!flags.model.quiet)
      say("warning: task '" + task.name + "' left out: no image has one of its labels");
  }
  if (!interrupted()) {
    for (TaskResult& mean : evaluation.means()) report.tasks.push_back(std::move(mean));
    if (report.tasks.empty())
      throw Error(ErrorCode::invalid_argument, report.data + ": no image has a label of any task");
    std::fputs(printable_lines(to_table(report)).c_str(), stdout);
    if (!flags.json.empty()) write_text(flags.json, to_json(report));
    if (!flags.html.empty()) write_text(flags.html, to_html(report));
  }
  return mii::report(failures);
}

}  // namespace

void add_eval(CLI::App& app, Command& chosen) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand("eval", "Measure a model on labelled images, without training");
  command
      ->add_option("manifest", flags->manifest,
                   "Table of images: path, patient, and columns with the truth (CSV or TSV)")
      ->required()
      ->check(CLI::ExistingFile);
  command->add_option("--tasks", flags->tasks, "What to ask: label sets for some of the images (YAML)")
      ->check(CLI::ExistingFile);
  command
      ->add_option("--field", flags->fields, "Ask about a column, with its values as labels; may be repeated")
      ->expected(1)
      ->take_all();
  command->add_option("--where", flags->where, "Use rows with column=value[,value...]; may be repeated")
      ->expected(1)
      ->take_all();
  command
      ->add_option("--neighbours-from", flags->neighbours_from,
                   "Take the nearest neighbours from rows with column=value; else from other patients of the "
                   "same rows")
      ->expected(1)
      ->take_all();
  command->add_option("-k", flags->k, "Nearest neighbours that vote")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_option("--resamples", flags->resamples, "Bootstrap draws for the confidence intervals")
      ->check(CLI::Range(0, 1000000))
      ->capture_default_str();
  command->add_option("--html", flags->html, "Also write a page with plots and example images");
  command->add_option("--json", flags->json, "Also write all figures as JSON");
  flags->model.add_to(*command);
  command->callback([&chosen, flags] { chosen = [flags] { return evaluate(*flags); }; });
}

}  // namespace mii
