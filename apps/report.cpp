#include <cstdio>
#include <memory>

#include "commands.h"
#include "core/utf8.h"
#include "image_flags.h"
#include "model_flags.h"
#include "outcome.h"
#include "output.h"
#include "pipeline/write_reports.h"
#include "reports/draft.h"
#include "reports/scrub.h"
#include "reports/written.h"
#include "serve/options.h"

namespace mii {
namespace {

struct Flags {
  ImageFlags images;
  ReportOptions report;
  std::string model_name = serve::ServeOptions().model_name;
  bool json = false;
  ModelFlags model;
};

// A sentence is shown when it is complete, so that nothing of one that is held back is.
void show(const std::vector<std::string>& sentences) {
  for (const std::string& sentence : sentences)
    if (reports::may_be_shown(sentence)) print_line(printable(sentence));
}

// What is printed. The report of a single image is shown while it is written.
class Printer {
 public:
  Printer(const Flags& flags, const Engine& engine, const std::vector<pipeline::ImageInput>& inputs)
      : flags_(flags), engine_(engine), inputs_(inputs), streams_(!flags.json && inputs.size() == 1) {
    if (!flags.json) print_line(std::string("[") + reports::kNotice + "]");
  }

  ReportOptions options() {
    ReportOptions options = flags_.report;
    options.prompt = reports::scrub(options.prompt).text;  // as in training
    if (streams_)
      options.on_text = [this](size_t, std::string_view piece) {
        show(stream_.add(piece));
        return true;
      };
    return options;
  }

  void print(size_t index, const Report& report) {
    const std::string image = inputs_.size() == 1 ? "" : inputs_[index].name();
    const reports::WrittenReport written = reports::written_report(
        report,
        {.image_vector = report.image_vector,
         .encode_texts = [this](std::span<const std::string> texts) { return engine_.encode_texts(texts); },
         .least_support = engine_.report_model_info().least_support});
    if (flags_.json) {
      print_line(to_json(written, {.model = flags_.model_name, .image = image}));
    } else {
      if (!image.empty()) print_line(image);
      if (!streams_) show(stream_.add(report.text));
      show(stream_.finish());
      stream_ = {};
      if (!flags_.model.quiet) std::fputs(("\n" + printable_lines(support_text(written))).c_str(), stdout);
    }
    expect_printed();
  }

 private:
  const Flags& flags_;
  const Engine& engine_;
  const std::vector<pipeline::ImageInput>& inputs_;
  const bool streams_;
  reports::SentenceStream stream_;
};

int run(const Flags& flags) {
  const pipeline::FoundImages found = flags.images.find();
  const Engine engine = flags.model.open();
  engine.check_report_options(flags.report);
  Printer printer(flags, engine, found.inputs);
  Progress progress(found.inputs.size(), "images", flags.model.quiet || found.inputs.size() == 1);
  auto failures =
      write_reports(engine, flags.images.sequence(found.inputs), read_options(progress),
                    {.options = [&](size_t) { return printer.options(); },
                     .sink = [&](size_t index, const Report& report) { printer.print(index, report); }});
  failures.insert(failures.end(), found.failures.begin(), found.failures.end());
  return report(failures);
}

}  // namespace

void add_report(CLI::App& app, Command& chosen) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand(
      "report", "Write a draft of a report of each image, by a decoder that was trained for the model");
  flags->images.add_to(*command, "images");
  command->add_option("--decoder", flags->model.report_model,
                      "Folder of the decoder [report_model/ in the model's folder]");
  command->add_option(
      "--prompt", flags->report.prompt,
      "What is known besides the image: the indication, say, if the decoder was trained with it");
  command->add_option("--max-tokens", flags->report.max_tokens, "Of the report [what the context holds]")
      ->check(CLI::Range(size_t{1}, ReportOptions::kMostTokens));
  command->add_option("--beams", flags->report.beams, "Texts that are followed at once; 1 is greedy")
      ->check(CLI::Range(size_t{1}, ReportOptions::kMostBeams))
      ->capture_default_str();
  command
      ->add_option("--top-p", flags->report.top_p,
                   "Draw each token among the likeliest that have this probability together")
      ->check(CLI::Range(1e-6, 1.0))
      ->excludes("--beams");
  command->add_option("--temperature", flags->report.temperature, "Of what is drawn; below 1 is bolder")
      ->check(CLI::Range(0.01, 100.0))
      ->capture_default_str()
      ->needs("--top-p");
  command->add_option("--seed", flags->report.seed, "Of what is drawn")
      ->capture_default_str()
      ->needs("--top-p");
  command
      ->add_option("--no-repeat", flags->report.no_repeat,
                   "No run of so many tokens comes twice; 0 allows any")
      ->check(CLI::Range(size_t{0}, ReportOptions::kMostTokens))
      ->capture_default_str();
  command
      ->add_option("--repetition-penalty", flags->report.repetition_penalty,
                   "Above 1, what was said is less likely to be said again")
      ->check(CLI::Range(1.0, 100.0))
      ->capture_default_str();
  command->add_flag("--json", flags->json, "One JSON object a line");
  command->add_option("--model-name", flags->model_name, "With --json: what 'model' says")
      ->capture_default_str();
  flags->model.add_to(*command);
  command->callback([flags, &chosen] {
    flags->images.expect_any();
    chosen = [flags] { return run(*flags); };
  });
}

}  // namespace mii
