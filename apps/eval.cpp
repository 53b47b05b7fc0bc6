#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>

#include "commands.h"
#include "core/file.h"
#include "core/number_text.h"
#include "core/utf8.h"
#include "eval/evaluation.h"
#include "eval/report.h"
#include "eval/retrieval.h"
#include "eval/volume_retrieval.h"
#include "eval_maps.h"
#include "eval_reports.h"
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
  std::vector<std::string> numbers;
  std::vector<std::string> where;
  std::vector<std::string> neighbours_from;
  std::vector<size_t> k;
  bool retrieval = false;
  ReportFlags reports;
  MapFlags maps;
  std::string volumes;  // a column
  std::vector<std::string> rankings;
  size_t resamples = 1000;
  std::vector<std::string> prevalences;
  std::vector<std::string> subgroups;
  std::vector<std::string> heads;
  std::vector<std::string> few_shot;
  size_t repeats = 10;
  std::string compare;
  std::string compare_precision;
  double margin = 2;
  std::string html;
  std::string json;

  /// The neighbours that vote.
  size_t voters() const {
    if (k.size() > 1)
      throw Error(ErrorCode::invalid_argument, "-k takes several numbers with --retrieval alone");
    return k.empty() ? 5 : k.front();
  }
  bool compares() const { return !compare.empty() || !compare_precision.empty(); }
};

// "0.05" or "pneumonia=0.05"
void read_prevalence(const std::string& text, std::map<std::string, double>& prevalences) {
  const size_t equals = text.rfind('=');
  const std::string label = equals == std::string::npos ? "" : text.substr(0, equals);
  const auto value = parse_number(equals == std::string::npos ? text : text.substr(equals + 1));
  if (!value || *value <= 0 || *value >= 1)
    throw Error(ErrorCode::invalid_argument,
                "--prevalence " + text + ": expected a number above 0 and below 1, or label=number");
  prevalences[label] = *value;
}

// "4" or "all"
size_t read_shots(const std::string& text) {
  if (text == "all") return kAllShots;
  const auto shots = parse_number(text);
  if (!shots || *shots < 1 || *shots > 1e6 || std::floor(*shots) != *shots)
    throw Error(ErrorCode::invalid_argument,
                "--few-shot " + text + ": expected numbers from 1 on, or all, separated by commas");
  return static_cast<size_t>(*shots);
}

FewShotOptions few_shot_of(const Flags& flags) {
  FewShotOptions options{.repeats = flags.repeats, .cancelled = interrupted};
  if (flags.few_shot.empty()) return options;
  options.k = flags.voters();
  for (const std::string& shots : flags.few_shot) options.shots.push_back(read_shots(shots));
  if (flags.neighbours_from.empty())
    throw Error(ErrorCode::invalid_argument,
                "--few-shot needs --neighbours-from: the rows whose images heads are fitted to");
  return options;
}

EvaluationOptions options_of(const Flags& flags, const Manifest& asked) {
  EvaluationOptions options{.figures = {.resamples = flags.resamples}, .cancelled = interrupted};
  options.few_shot = few_shot_of(flags);
  for (const std::string& text : flags.prevalences) read_prevalence(text, options.figures.prevalences);
  for (const std::string& text : flags.subgroups) {
    options.subgroups.push_back(SubgroupColumn::parse(text));
    expect_column(asked, flags.manifest, options.subgroups.back().column());
  }
  return options;
}

// A model with its vectors of all images.
struct Loaded {
  Engine engine;
  EncodedRows data;
  std::optional<EncodedRows> references;
  std::string suffix;

  EncodedModel model() const { return {engine, data, references ? &*references : nullptr, suffix}; }
};

EncodedRows encode(const Engine& engine, Manifest manifest, const Flags& flags,
                   std::vector<pipeline::Failure>& failures) {
  Progress progress(manifest.rows(), "images", flags.model.quiet);
  return encode_rows(engine, std::move(manifest), read_options(progress), failures);
}

Loaded load(Engine engine, const Manifest& asked, const Flags& flags,
            std::vector<pipeline::Failure>& failures) {
  EncodedRows data = encode(engine, asked, flags, failures);
  std::optional<EncodedRows> references;
  if (!flags.neighbours_from.empty())
    references = encode(engine, Manifest::read(flags.manifest, flags.neighbours_from), flags, failures);
  return {std::move(engine), std::move(data), std::move(references), ""};
}

// Another model, or the same in another precision. Its failures are those of the first.
Loaded load_other(const Manifest& asked, const Flags& flags) {
  ModelFlags other = flags.model;
  if (!flags.compare.empty()) other.model = flags.compare;
  if (!flags.compare_precision.empty()) other.precision = flags.compare_precision;
  std::vector<pipeline::Failure> known;
  Loaded loaded = load(other.open(), asked, flags, known);
  loaded.suffix = ", " + (flags.compare.empty() ? flags.compare_precision : flags.compare);
  return loaded;
}

OtherModel other_model(const Loaded& model, const Loaded& other) {
  return {other.engine.info().weights_file, other.engine.identity().differences_from(model.engine.identity()),
          vector_agreement(model.data, other.data)};
}

std::vector<std::unique_ptr<Scorer>> scorers_of(const Flags& flags, const Loaded& model,
                                                const Loaded* other) {
  std::vector<std::unique_ptr<Scorer>> scorers;
  scorers.push_back(zero_shot_scorer(model.model()));
  scorers.push_back(neighbours_scorer(model.model(), flags.voters()));
  scorers.push_back(pixels_scorer(model.model(), flags.voters()));
  const auto warn = [&](const std::string& sentence) {
    if (!flags.model.quiet) say("warning: " + sentence);
  };
  for (auto& scorer : head_scorers(model.model(), flags.heads, warn)) scorers.push_back(std::move(scorer));
  if (other != nullptr) scorers.push_back(zero_shot_scorer(other->model()));
  if (other != nullptr) scorers.push_back(neighbours_scorer(other->model(), flags.voters()));
  return scorers;
}

void warn_of_unknown_labels(const EvaluationOptions& options, const EvalReport& report) {
  for (const auto& prevalence : options.figures.prevalences) {
    const std::string& label = prevalence.first;
    const auto has = [&](const TaskResult& task) {
      return std::ranges::find(task.labels, label, &std::pair<std::string, size_t>::first) !=
             task.labels.end();
    };
    if (!label.empty() && std::ranges::none_of(report.tasks, has))
      say("warning: --prevalence: no task has a label '" + label + "'");
  }
}

RetrievalOptions retrieval_options(const Flags& flags, const EvaluationOptions& options) {
  RetrievalOptions retrieval{.figures = options.figures};
  if (!flags.k.empty()) retrieval.ks = flags.k;
  std::ranges::sort(retrieval.ks);
  retrieval.ks.erase(std::unique(retrieval.ks.begin(), retrieval.ks.end()), retrieval.ks.end());
  return retrieval;
}

VolumeRetrievalOptions volume_options(const Flags& flags, const EvaluationOptions& options) {
  return {.column = flags.volumes,
          .rankings = flags.rankings.empty()
                          ? volume_ranking_names()
                          : std::vector<std::string_view>(flags.rankings.begin(), flags.rankings.end()),
          .retrieval = retrieval_options(flags, options)};
}

std::optional<TaskResult> measure_search(const EvalTask& task, const std::vector<EncodedModel>& models,
                                         const Flags& flags, const EvaluationOptions& options) {
  return flags.volumes.empty() ? measure_retrieval(task, models, retrieval_options(flags, options))
                               : measure_volume_retrieval(task, models, volume_options(flags, options));
}

// Before images are read.
void expect_fitting(const Flags& flags, const std::vector<EvalTask>& tasks) {
  if (!flags.retrieval) static_cast<void>(flags.voters());
  for (const EvalTask& task : tasks)
    if (flags.retrieval && task.number)
      throw Error(ErrorCode::invalid_argument,
                  "--retrieval: task '" + task.name + "' is about a number, search is measured by labels");
}

int evaluate(const Flags& flags) {
  const Manifest asked = Manifest::read(flags.manifest, flags.where);
  const std::vector<EvalTask> tasks =
      tasks_about({flags.tasks, flags.fields, flags.numbers}, asked, flags.manifest);
  expect_fitting(flags, tasks);
  if (!flags.volumes.empty()) expect_column(asked, flags.manifest, flags.volumes);
  const EvaluationOptions options = options_of(flags, asked);

  std::vector<pipeline::Failure> failures;
  const Loaded model = load(flags.model.open(), asked, flags, failures);
  std::optional<Loaded> other;
  if (flags.compares() && !interrupted()) other = load_other(asked, flags);
  EvalReport report{
      .model = model.engine.info().weights_file, .data = flags.manifest, .margin = flags.margin / 100};
  for (const std::string& condition : flags.where) report.data += ", " + condition;
  if (other && !interrupted()) report.other = other_model(model, *other);

  std::vector<EncodedModel> models{model.model()};
  if (other) models.push_back(other->model());
  std::optional<Evaluation> evaluation;
  if (!flags.retrieval)
    evaluation.emplace(options, model.model(), scorers_of(flags, model, other ? &*other : nullptr));
  for (const EvalTask& task : tasks) {
    if (interrupted()) break;
    auto result = evaluation ? evaluation->run(task) : measure_search(task, models, flags, options);
    if (result)
      report.tasks.push_back(std::move(*result));
    else if (!flags.model.quiet)
      say("warning: task '" + task.name + "' left out: no image has " +
          (task.number ? "a number there" : "one of its labels"));
  }
  if (!interrupted()) {
    if (evaluation)
      for (TaskResult& mean : evaluation->means()) report.tasks.push_back(std::move(mean));
    if (report.tasks.empty())
      throw Error(ErrorCode::invalid_argument, report.data + ": no image has a label of any task");
    if (!flags.model.quiet) warn_of_unknown_labels(options, report);
    std::fputs(printable_lines(to_table(report)).c_str(), stdout);
    if (!flags.json.empty()) write_file(flags.json, to_json(report));
    if (!flags.html.empty()) write_file(flags.html, to_html(report));
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
  command
      ->add_option("--number", flags->numbers,
                   "Ask about a column of numbers, such as an age; may be repeated")
      ->expected(1)
      ->take_all();
  command->add_option("--where", flags->where, "Use rows with column=value[,value...]; may be repeated")
      ->expected(1)
      ->take_all();
  command
      ->add_option(
          "--neighbours-from", flags->neighbours_from,
          "Take the nearest neighbours and the thresholds from rows with column=value; else neighbours are "
          "other patients of the same rows, and thresholds 0.5")
      ->expected(1)
      ->take_all();
  CLI::Option* retrieval = command->add_flag(
      "--retrieval", flags->retrieval,
      "Measure how well images find those with the same label, in place of answers: among the "
      "rows of --neighbours-from, else among the same rows; never their own patient's");
  CLI::Option* volumes =
      command
          ->add_option("--volumes", flags->volumes,
                       "With --retrieval: search for volumes, which are the images of one source with one "
                       "value in this column, such as series")
          ->needs(retrieval);
  std::vector<std::string> rankings;
  for (const std::string_view name : volume_ranking_names()) rankings.emplace_back(name);
  command
      ->add_option(
          "--rank", flags->rankings,
          "With --volumes: how they are ranked: by frequency, maximum or sum of their slices' votes, "
          "by late interaction, or by mean, median, max or std of their slices' vectors; several "
          "separated by commas [all]")
      ->delimiter(',')
      ->check(CLI::IsMember(rankings))
      ->needs(volumes);
  command
      ->add_option(
          "-k,--k", flags->k,
          "Nearest neighbours that vote; with --retrieval: of how many first items figures are told, "
          "several numbers separated by commas")
      ->allow_extra_args(false)
      ->delimiter(',')
      ->check(CLI::Range(1, 1000))
      ->default_str("5; 1,5,10");
  command->add_option("--resamples", flags->resamples, "Bootstrap draws for the confidence intervals")
      ->check(CLI::Range(0, 1000000))
      ->capture_default_str();
  command
      ->add_option(
          "--prevalence", flags->prevalences,
          "[LABEL=]P: share of the examined who have a label, for PPV, NPV and decision curves; else that of "
          "the images; may be repeated")
      ->expected(1)
      ->take_all();
  command
      ->add_option("--subgroup", flags->subgroups,
                   "COLUMN[:EDGE,EDGE...]: also tell the figures of images with each value, or in each band "
                   "of numbers; "
                   "may be repeated")
      ->expected(1)
      ->take_all();
  command
      ->add_option("--head", flags->heads,
                   "Also ask a head that mii fit wrote, where a task is about its field; may be repeated")
      ->expected(1)
      ->take_all()
      ->check(CLI::ExistingFile);
  command
      ->add_option("--few-shot", flags->few_shot,
                   "Numbers of images of each label, or all: also fit heads of each kind to so many of "
                   "--neighbours-from")
      ->delimiter(',');
  command->add_option("--repeats", flags->repeats, "Draws of those images")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_option("--compare", flags->compare, "Also ask another model, and tell the differences")
      ->check(CLI::ExistingDirectory);
  command
      ->add_option("--compare-precision", flags->compare_precision,
                   "The other model's precision; without --compare: the same model in this precision")
      ->check(CLI::IsMember(precision_choices()));
  command
      ->add_option(
          "--margin", flags->margin,
          "By how many points of top-1 the other model may be worse and still take the place of the first")
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str();
  command->add_option("--html", flags->html, "Also write a page with plots and example images");
  command->add_option("--json", flags->json, "Also write all figures as JSON");
  for (const char* of_answers : {"--number", "--prevalence", "--subgroup", "--head", "--few-shot"})
    retrieval->excludes(command->get_option(of_answers));
  flags->model.add_to(*command);
  flags->maps.add_to(*command);
  flags->reports.add_to(*command);
  command->callback([&chosen, flags] {
    chosen = [flags] {
      if (flags->reports.reports)
        return evaluate_reports(flags->reports, flags->manifest, flags->where, flags->resamples, flags->json);
      if (flags->maps.explain)
        return evaluate_maps(flags->maps, flags->model, flags->manifest, flags->where, flags->fields,
                             flags->json);
      return evaluate(*flags);
    };
  });
}

}  // namespace mii
