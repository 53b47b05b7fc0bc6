#include <cstdio>
#include <memory>

#include "commands.h"
#include "core/utf8.h"
#include "decode_flags.h"
#include "interrupt.h"
#include "model_flags.h"
#include "output.h"
#include "reports/draft.h"
#include "reports/scrub.h"
#include "reports/written.h"

namespace mii {
namespace {

struct Flags {
  std::string image;
  ReportOptions report;
  bool json = false;
  DecodeFlags decode;
  ModelFlags model;
};

// A sentence is shown when it is complete, so that nothing of one that is held back is.
void show(const std::vector<std::string>& sentences) {
  for (const std::string& sentence : sentences)
    if (reports::may_be_shown(sentence)) print_line(printable(sentence));
}

reports::WrittenReport with_support(const Engine& engine, const Report& report) {
  reports::WrittenReport written = reports::written_report(report.text);
  written.complete = report.complete;
  written.least_support = engine.report_model_info().least_support;
  written.prompt_tokens = report.prompt_tokens;
  written.tokens = report.tokens;
  std::vector<std::string> sentences;
  for (const reports::WrittenSentence& sentence : written.sentences) sentences.push_back(sentence.text);
  add_support(engine.encode_texts(sentences), report.image_vector, written);
  return written;
}

int run(const Flags& flags) {
  const Engine engine = flags.model.open();
  const Image image = Image::read(flags.image, flags.decode.options());
  const bool streams = !flags.json;
  if (streams) print_line(std::string("[") + reports::kNotice + "]");
  reports::SentenceStream stream;
  ReportOptions options = flags.report;
  options.prompt = reports::scrub(options.prompt).text;  // as in training
  options.on_text = [&](size_t, std::string_view piece) {
    if (streams) show(stream.add(piece));
    return !interrupted();
  };
  const Report report = engine.write_reports({&image, 1}, options).front();
  if (streams) show(stream.finish());
  const reports::WrittenReport written = with_support(engine, report);
  if (flags.json)
    print_line(to_json(written, engine.report_model_info().folder.string()));
  else if (!flags.model.quiet)
    std::fputs(("\n" + printable_lines(support_text(written))).c_str(), stdout);
  return kOk;
}

}  // namespace

void add_report(CLI::App& app, Command& chosen) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand(
      "report", "Write a draft of a report of an image, by a decoder that was trained for the model");
  command->add_option("image", flags->image, "Image or DICOM file")->required();
  command->add_option("--decoder", flags->model.report_model,
                      "Folder of the decoder [report_model/ in the model's folder]");
  command->add_option(
      "--prompt", flags->report.prompt,
      "What is known besides the image: the indication, say, if the decoder was trained with it");
  command->add_option("--max-tokens", flags->report.max_tokens, "Of the report [what the context holds]")
      ->check(CLI::Range(1, 4096));
  command->add_option("--beams", flags->report.beams, "Texts that are followed at once; 1 is greedy")
      ->check(CLI::Range(1, 16))
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
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
  command
      ->add_option("--repetition-penalty", flags->report.repetition_penalty,
                   "Above 1, what was said is less likely to be said again")
      ->check(CLI::Range(1.0, 100.0))
      ->capture_default_str();
  command->add_flag("--json", flags->json, "One JSON object");
  flags->decode.add_to(*command);
  flags->model.add_to(*command);
  command->callback([flags, &chosen] { chosen = [flags] { return run(*flags); }; });
}

}  // namespace mii
