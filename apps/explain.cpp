#include <array>
#include <cstdio>
#include <memory>
#include <optional>

#include "commands.h"
#include "core/utf8.h"
#include "explain_volumes.h"
#include "heads/head_file.h"
#include "image_flags.h"
#include "labels/reading.h"
#include "interrupt.h"
#include "maps/explained.h"
#include "maps/perturbation.h"
#include "model_flags.h"
#include "outcome.h"
#include "output.h"
#include "pipeline/encode_tokens.h"
#include "pipeline/identity.h"
#include "pipeline/map_files.h"

namespace mii {
namespace {

using maps::Explained;
using maps::Question;

struct Flags {
  ModelFlags model;
  ImageFlags images;
  std::vector<std::string> labels;
  std::string head;
  std::string versus;
  std::string out;
  std::string method = "exact";
  maps::PerturbationOptions perturbation;  ///< of the other methods
  bool volume = false;
  bool json = false;
};

// Understands the labels, and says where a warning is due.
Question ask_labels(const Flags& flags, const Engine& engine) {
  const labels::Catalogue catalogue = labels::Catalogue::built_in();
  const std::vector<std::string> asked = maps::with_versus(flags.labels, flags.versus);
  const labels::Reading reading = labels::read_labels(catalogue, asked);
  for (const std::string& warning : reading.warnings) say(warning);
  ClassifyOptions options;
  options.prompts = reading.prompts;
  return maps::about_labels(asked, engine.zero_shot_head(asked, options).label_vectors().clone(),
                            engine.encode_texts(maps::texts_of_others(asked.size(), catalogue)));
}

Question ask_head(const Flags& flags, const Engine& engine) {
  const heads::FittedHead head = heads::read_head(flags.head);
  for (const std::string& difference :
       head.expect_made_alike(engine.identity(pipeline::preprocessing_text(flags.images.decode.options()))))
    if (!flags.model.quiet) say("warning: the head was fitted to vectors of another making: " + difference);
  return maps::about_head(head);
}

Question ask(const Flags& flags, const Engine& engine) {
  Question question = flags.head.empty() ? ask_labels(flags, engine) : ask_head(flags, engine);
  return flags.versus.empty() ? std::move(question) : maps::against(flags.versus, question);
}

// The middle of a token, in percent of the image's side.
int percent(size_t place, size_t places) { return static_cast<int>((200 * place + 100) / (2 * places)); }

void print_table(const std::string& name, const Explained& e) {
  print_line(name);
  std::printf("  %9s %13s  %-19s label\n", "score", "completeness", "most speaks for it");
  for (size_t k = 0; k < e.labels(); ++k) {
    const size_t token = e.highest(k);
    std::array<char, 32> completeness{"-"};
    if (e.adds_up()) std::snprintf(completeness.data(), completeness.size(), "%.1e", e.completeness(k));
    std::printf("  %9.4f %13s  %3d %% x, %3d %% y      %s\n", e.score(k), completeness.data(),
                percent(token % e.cols(), e.cols()), percent(token / e.cols(), e.rows()),
                printable(e.question().labels[k]).c_str());
  }
}

/// Prints and writes what is said of the images.
class Explanations {
 public:
  Explanations(const Flags& flags, const std::vector<pipeline::ImageInput>& inputs)
      : flags_(flags), inputs_(inputs) {
    if (!flags.out.empty()) files_.emplace(flags.out);
  }

  void add(size_t i, const Image& canvas, const Explained& explained) {
    const pipeline::ImageInput& input = inputs_[i];
    if (flags_.json)
      std::printf("%s\n", explained_json(input.name(), explained).c_str());
    else
      print_table(input.name(), explained);
    if (files_) files_->write({i, input.name(), input.path}, canvas, explained);
    expect_printed();
  }

 private:
  const Flags& flags_;
  const std::vector<pipeline::ImageInput>& inputs_;
  std::optional<pipeline::MapFiles> files_;
};

// In batches, for the price of their vectors.
std::vector<pipeline::Failure> explain_exactly(const Flags& flags, const Engine& engine,
                                               const Question& question,
                                               const std::vector<pipeline::ImageInput>& inputs) {
  const ScoreSplitter splitter = engine.splitter(question.directions());
  Explanations explanations(flags, inputs);
  Progress progress(inputs.size(), "images", flags.model.quiet);
  return encode_image_tokens(engine, flags.images.sequence(inputs), read_options(progress),
                             [&](size_t i, const ImageTokens& tokens, const Image& canvas) {
                               explanations.add(i, canvas, Explained(question, splitter.split(tokens)));
                             });
}

// In batches forwards, and back for one image after another.
std::vector<pipeline::Failure> explain_by_gradient(const Flags& flags, const Engine& engine,
                                                   const Question& question,
                                                   const std::vector<pipeline::ImageInput>& inputs) {
  Explanations explanations(flags, inputs);
  Progress progress(inputs.size(), "images", flags.model.quiet);
  return encode_image_tokens(
      engine, flags.images.sequence(inputs), read_options(progress),
      [&](size_t i, const ImageTokens& tokens, const Image& canvas) {
        explanations.add(i, canvas,
                         Explained(question, engine.gradient_maps(tokens, question.shown), tokens.vector));
      },
      TokenStage::before_last);
}

// One image after another, each altered many times.
std::vector<pipeline::Failure> explain_by_hiding(const Flags& flags, const Engine& engine,
                                                 const Question& question,
                                                 const std::vector<pipeline::ImageInput>& inputs) {
  const bool rise = flags.method == "rise";
  const auto maps_of = rise ? maps::rise_maps : maps::occlusion_maps;
  const size_t each = rise ? flags.perturbation.masks : engine.info().token_rows * engine.info().token_cols;
  Explanations explanations(flags, inputs);
  Progress progress(inputs.size() * each, "images", flags.model.quiet);
  maps::PerturbationOptions options = flags.perturbation;
  options.cancelled = interrupted;
  options.progress = [&](size_t more) { progress.advance(more); };
  return prepare_images(
      engine, flags.images.sequence(inputs), {.cancelled = interrupted},
      [&](size_t i, const pipeline::Prepared& prepared) {
        const Matrix vector = engine.encode_images({&prepared.input, 1});
        explanations.add(
            i, prepared.canvas,
            Explained(question, maps_of(engine, prepared.input, question.shown, options), vector.row(0)));
      });
}

int explain_images(const Flags& flags, const Engine& engine, const Question& question) {
  const pipeline::FoundImages found = flags.images.find();
  const auto explain_by = flags.method == "exact"      ? explain_exactly
                          : flags.method == "gradient" ? explain_by_gradient
                                                       : explain_by_hiding;
  auto failures = explain_by(flags, engine, question, found.inputs);
  failures.insert(failures.end(), found.failures.begin(), found.failures.end());
  return report(failures);
}

int explain(const Flags& flags) {
  const Engine engine = flags.model.open();
  const Question question = ask(flags, engine);
  if (!flags.model.quiet) say("maps are shown against " + question.contrast);
  if (!flags.volume) return explain_images(flags, engine, question);
  return explain_volumes({engine, question, flags.images.all_paths(), flags.images.decode.options(),
                          flags.out, flags.json, flags.model.quiet});
}

}  // namespace

void add_explain(CLI::App& app, Command& chosen) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command =
      app.add_subcommand("explain", "Show where in images the scores of labels, or of a head, come from");
  flags->images.add_to(*command, "images");
  auto* labels = command->add_option("--labels", flags->labels,
                                     "Labels, in English or as `mii labels --language` has them");
  auto* head = command->add_option("--head", flags->head, "Explain this head's scores, in place of labels'")
                   ->check(CLI::ExistingFile)
                   ->excludes(labels);
  command->add_option("--versus", flags->versus, "Say why a label and not this one");
  command->add_option("--out", flags->out,
                      "Write the maps of each image to this folder: overlays as PNG, grids as JSON and NPY");
  CLI::Option* method =
      command
          ->add_option("--method", flags->method,
                       "exact: each token's part of the score; gradient: how sensitive it is to the tokens "
                       "one stage earlier, on a finer grid; occlusion, rise: what hiding parts of the image "
                       "does to it, slow and with no look into the model")
          ->check(CLI::IsMember({"exact", "gradient", "occlusion", "rise"}))
          ->capture_default_str();
  command->add_option("--masks", flags->perturbation.masks, "Masks of --method rise for each image")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  command->add_option("--seed", flags->perturbation.seed, "Of these masks")->capture_default_str();
  command
      ->add_flag("--volume", flags->volume,
                 "Take DICOM series and NIfTI volumes as wholes: their slices' scores, and maps of the "
                 "slices that score highest")
      ->excludes(method);
  command->add_flag("--json", flags->json, "One JSON object a line, with the maps");
  flags->model.add_to(*command);
  command->callback([flags, labels, head, &chosen] {
    flags->images.expect_any();
    if (labels->empty() && head->empty()) throw CLI::RequiredError("--labels or --head");
    chosen = [flags] { return explain(*flags); };
  });
}

}  // namespace mii
