#include "train_report.h"

#include <algorithm>
#include <cstdio>
#include <numeric>
#include <set>
#include <string>

#include "commands.h"
#include "core/file.h"
#include "core/utf8.h"
#include "mii/error.h"
#include "model_flags.h"
#include "outcome.h"
#include "output.h"
#include "pipeline/write_reports.h"
#include "reports/draft.h"
#include "reports/measures.h"
#include "reports/sentences.h"
#include "trainer.h"
#include "weights/model_folder.h"
#include "weights/report_model.h"

namespace mii {
namespace {

namespace fs = std::filesystem;

// Of the sentences of true reports, so many have less support than what is called none.
constexpr double kWithoutSupport = 0.05;

void say_summary(const pipeline::ReportTextSummary& summary) {
  std::fprintf(stderr, "%zu texts to learn from, %zu to validate; %zu rows without a text\n", summary.learn,
               summary.validate, summary.without_text);
  if (summary.cut > 0) std::fprintf(stderr, "%zu texts are longer than the context: cut\n", summary.cut);
  std::string found;
  for (size_t kind = 0; kind < summary.scrubbed.size(); ++kind)
    if (summary.scrubbed[kind] > 0)
      found += (found.empty() ? "" : ", ") + std::to_string(summary.scrubbed[kind]) + " " +
               std::string(to_string(static_cast<reports::Personal>(kind))) +
               (summary.scrubbed[kind] == 1 ? "" : "s");
  if (!found.empty())
    std::fprintf(stderr, "masked in %zu texts: %s\n", summary.scrubbed_texts, found.c_str());
}

// The validation images' reports, beside what people wrote of them.
class Validation {
 public:
  Validation(const Engine& engine, const Manifest& manifest, const pipeline::ReportTextOptions& options)
      : engine_(engine), manifest_(manifest), options_(options) {
    for (size_t row = 0; row < manifest.rows(); ++row)
      if (!pipeline::learns_from(manifest, row) &&
          !reports::sentences_of(manifest.at(row, options.text_column)).empty() && can_be_asked(row))
        rows_.push_back(row);
  }
  size_t size() const { return rows_.size(); }

  // A row that cannot be used was named when the tokens were computed.
  void write(Progress& progress) {
    std::vector<pipeline::ImageInput> inputs;
    for (const size_t row : rows_) inputs.push_back({manifest_.path(row).string(), {}});
    pipeline::write_reports(engine_, pipeline::images_of(std::move(inputs), options_.decode),
                            read_options(progress),
                            {.options = [this](size_t i) { return report_options(rows_[i]); },
                             .sink = [this](size_t i, const Report& report) { add(rows_[i], report); }});
  }

  /// Whose reports were written.
  size_t patients() const {
    return std::set<std::string>(measured_.patients.begin(), measured_.patients.end()).size();
  }

  reports::ReportMeasures measures() const { return reports::measure_reports(measured_, {}); }

  /// Which support is less than all but a few sentences of true reports have.
  std::optional<float> least_support() const {
    if (support_.empty()) return {};
    std::vector<float> sorted = support_;
    std::ranges::sort(sorted);
    return sorted[static_cast<size_t>(kWithoutSupport * static_cast<double>(sorted.size()))];
  }

  /// path, patient, text, report.
  std::string table() const {
    const auto cell = [](std::string text) {
      std::ranges::replace_if(
          text, [](char c) { return c == '\t' || c == '\n' || c == '\r' || c == '"'; }, ' ');
      return text;
    };
    std::string table = "path\tpatient\ttext\treport\n";
    for (size_t i = 0; i < measured_.candidates.size(); ++i)
      table += cell(paths_[i]) + "\t" + cell(manifest_.at(rows_of_[i], "patient")) + "\t" +
               cell(measured_.references[i]) + "\t" + cell(measured_.candidates[i]) + "\n";
    return table;
  }

 private:
  ReportOptions report_options(size_t row) const {
    ReportOptions options;
    if (!options_.prompt_column.empty())
      options.prompt = reports::scrub(manifest_.at(row, options_.prompt_column)).text;
    return options;
  }

  bool can_be_asked(size_t row) const try {
    engine_.check_report_options(report_options(row));
    return true;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::invalid_text && error.code() != ErrorCode::invalid_argument) throw;
    return false;
  }

  void add(size_t row, const Report& report) {
    rows_of_.push_back(row);
    paths_.push_back(manifest_.at(row, "path"));
    measured_.references.push_back(reports::scrub(manifest_.at(row, options_.text_column)).text);
    measured_.candidates.push_back(report.text);
    const std::string& patient = manifest_.at(row, "patient");
    measured_.patients.push_back(patient.empty() ? "\nrow " + std::to_string(row) : patient);  // alone
    const std::vector<std::string> sentences = reports::sentences_of(measured_.references.back());
    const Matrix vectors = engine_.encode_texts(sentences);
    for (size_t i = 0; i < vectors.rows(); ++i)
      support_.push_back(std::inner_product(vectors.row(i).begin(), vectors.row(i).end(),
                                            report.image_vector.begin(), 0.0f));
  }

  const Engine& engine_;
  const Manifest& manifest_;
  const pipeline::ReportTextOptions& options_;
  std::vector<size_t> rows_;
  std::vector<size_t> rows_of_;  // of what was written
  std::vector<std::string> paths_;
  reports::ReportRows measured_;
  std::vector<float> support_;
};

void add_least_support(const fs::path& decoder, float least_support) {
  const fs::path file = ReportModelFolder::in(decoder).config;
  ReportDecoderConfig config = ReportDecoderConfig::read(file);
  config.least_support = least_support;
  write_file(file, to_yaml(config));
}

int validate(const Manifest& manifest, const pipeline::ReportTextOptions& options,
             const ReportTrainingRun& run, ModelFlags model) {
  model.report_model = run.out / "best";
  const Engine engine = model.open();
  Validation validation(engine, manifest, options);
  if (validation.size() == 0) {
    say("no row of another split than train: the reports are not measured");
    return kOk;
  }
  {
    Progress progress(validation.size(), "reports", run.quiet);
    validation.write(progress);
  }
  write_file(run.out / "reports.tsv", validation.table());
  if (const auto least = validation.least_support())
    for (const char* name : {"best", "last"}) add_least_support(run.out / name, *least);
  if (validation.patients() < 2) {  // the random baseline needs another's report
    say("reports of fewer than two patients: they are not measured");
    return kOk;
  }
  const reports::ReportMeasures measures = validation.measures();
  write_file(run.out / "measures.json", to_json(measures) + "\n");
  std::printf("[%s]\n%s", reports::kNotice, printable_lines(to_table(measures)).c_str());
  return kOk;
}

}  // namespace

void ReportObjectiveFlags::add_to(CLI::App& command, const std::string& group) {
  command.add_option("--text-column", texts.text_column, "Column with the reports")
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--prompt-column", texts.prompt_column,
                  "Column with what is known besides the image, such as the indication")
      ->group(group);
  command.add_option("--context", texts.context_length, "Tokens of prompt and report together [256]")
      ->check(CLI::Range(int64_t{8}, ReportDecoderConfig::kLongestContext))
      ->group(group);
  const std::pair<const char*, int64_t*> sizes[] = {
      {"--width", &texts.width}, {"--heads", &texts.heads}, {"--layers", &texts.layers}};
  for (const auto& [name, to] : sizes)
    command.add_option(name, *to, "Of the decoder [as the text tower's]")
        ->check(CLI::Range(1, 16384))
        ->group(group);
  command
      .add_option("--label-smoothing", label_smoothing,
                  "Probability that is spread over all tokens instead of the right one [0.1]")
      ->check(CLI::Number)
      ->group(group);
  command.add_option("--dropout", dropout, "Of the embedding and of each residual branch [0.1]")
      ->check(CLI::Number)
      ->group(group);
}

int train_report(ReportObjectiveFlags flags, const ReportTrainingRun& run) {
  trainer_path();  // before anything is computed
  ModelFlags model;
  model.model = run.model.string();
  model.quiet = run.quiet;
  pipeline::ReportTextOptions& options = flags.texts;
  options.model = model.folder();
  const Manifest manifest = Manifest::read(run.manifest, run.where);

  if (!run.resume && fs::exists(run.out / "checkpoint"))  // before its images' tokens are written over
    throw Error(ErrorCode::invalid_argument,
                run.out.string() + " holds a checkpoint: resume with --resume, or choose another folder");
  fs::create_directories(run.out);
  const fs::path problem = run.out / "problem.safetensors";
  if (!run.resume || !fs::exists(problem)) {
    const Engine engine = model.open();
    Progress progress(manifest.rows(), "images", run.quiet);
    options.read = read_options(progress);
    const pipeline::ReportTextSummary summary = make_report_problem(engine, manifest, options, problem);
    for (const pipeline::Failure& failure : summary.failures)
      say(failure.input + ": left out: " + failure.reason);
    if (!run.quiet) say_summary(summary);
  }
  std::vector<std::string> arguments{"report", "--problem", problem.string(), "--out", run.out.string()};
  const bool like_text_tower = options.width == 0 && options.heads == 0;
  if (like_text_tower) {
    arguments.emplace_back("--text-tower");
    arguments.push_back(ModelFolder::find(options.model).weights.string());
  }
  const std::pair<const char*, std::string> own[] = {{"--label-smoothing", flags.label_smoothing},
                                                     {"--dropout", flags.dropout}};
  for (const auto& [name, value] : own)
    if (!value.empty()) arguments.insert(arguments.end(), {name, value});
  arguments.insert(arguments.end(), run.arguments.begin(), run.arguments.end());
  if (run.resume) arguments.emplace_back("--resume");
  if (run.quiet) arguments.emplace_back("--quiet");
  if (const int status = run_trainer(arguments); status != kOk) return status;
  return validate(manifest, options, run, model);
}

}  // namespace mii
