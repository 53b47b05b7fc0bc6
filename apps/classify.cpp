#include <algorithm>
#include <cstdio>
#include <memory>
#include <numeric>
#include <optional>

#include "commands.h"
#include "core/json_writer.h"
#include "core/utf8.h"
#include "heads/head_file.h"
#include "image_flags.h"
#include "labels/reading.h"
#include "maps/question.h"
#include "model_flags.h"
#include "outcome.h"
#include "output.h"
#include "pipeline/encode_tokens.h"
#include "pipeline/identity.h"
#include "pipeline/map_files.h"
#include "pipeline/provenance.h"

namespace mii {
namespace {

struct Flags {
  ModelFlags model;
  ImageFlags images;
  std::vector<std::string> labels;
  std::string labels_file;
  std::string head;
  ClassifyOptions classify;
  bool json = false;
  bool provenance = false;
  std::string explain;  // folder of maps
};

std::vector<size_t> descending(std::span<const float> scores) {
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  return order;
}

struct Scored {
  std::string name;
  const Provenance* provenance;  ///< null unless asked for
  std::span<const float> scores;
};

/// What scores the images: the labels' texts, or a head that was fitted.
struct Scorer {
  std::unique_ptr<const Head> head;
  const heads::FittedHead* fitted = nullptr;  ///< the same, where it is one
  const ZeroShotHead* zero_shot = nullptr;    ///< the same, where it is one
  labels::Reading reading;                    ///< of the labels, where they are texts
  std::string identity;                       ///< of the vectors, where JSON says it

  bool answers_value() const { return fitted != nullptr && fitted->parts().answer == heads::Answer::value; }
  std::optional<heads::Band> band(size_t label, float score) const {
    return fitted == nullptr ? std::nullopt : fitted->band(label, score);
  }
};

void add_bands(JsonWriter& json, const Scored& scored, const Scorer& scorer) {
  if (scorer.fitted == nullptr || scorer.fitted->parts().points.empty()) return;
  json.key("bands").begin_object();
  for (const size_t k : descending(scored.scores)) {
    const auto band = scorer.band(k, scored.scores[k]);
    if (!band) continue;
    json.key(scorer.head->labels()[k]).begin_object();
    json.member("band", band->name).member("point", band->points).end_object();
  }
  json.end_object();
}

void print_json(const Scored& scored, const Scorer& scorer) {
  const std::vector<std::string>& labels = scorer.head->labels();
  JsonWriter json(JsonWriter::Style::spaced);
  json.begin_object().member("image", scored.name);
  if (scorer.answers_value()) {
    json.member("field", labels.front()).member("value", scored.scores.front());
  } else {
    json.key("predictions").begin_object();
    for (const size_t k : descending(scored.scores)) json.member(labels[k], scored.scores[k]);
    json.end_object();
    if (scorer.fitted == nullptr) write_reading(json, labels, scorer.reading);
    add_bands(json, scored, scorer);
  }
  if (scored.provenance != nullptr)
    json.member("provenance", RawJson{pipeline::provenance_json(*scored.provenance)});
  json.member("identity", scorer.identity).end_object();
  std::printf("%s\n", json.finish().c_str());
}

void print_table(const Scored& scored, const Scorer& scorer) {
  const std::vector<std::string>& labels = scorer.head->labels();
  print_line(scored.name);
  if (scored.provenance != nullptr) print_line("  " + pipeline::mapping_text(*scored.provenance));
  for (const size_t k : descending(scored.scores)) {
    const auto band = scorer.band(k, scored.scores[k]);
    const std::string decided = band ? std::string("  ") + band->name + " (" + band->points + ")" : "";
    std::printf("  %8.4f  %s%s\n", scored.scores[k], printable(labels[k]).c_str(),
                printable(decided).c_str());
  }
}

// What a label was taken for must be seen before its score is believed.
void tell(const std::vector<std::string>& labels, const labels::Reading& reading, bool quiet) {
  for (size_t k = 0; k < labels.size() && !quiet; ++k)
    if (reading.prompts[k] != labels[k])
      say("label '" + labels[k] + "' is scored as '" + reading.prompts[k] + "'");
  for (const std::string& warning : reading.warnings) say(warning);
}

Scorer make_scorer(const Flags& flags, const Engine& engine) {
  const Identity identity = flags.json || !flags.head.empty()
                                ? engine.identity(pipeline::preprocessing_text(flags.images.decode.options()))
                                : Identity();
  Scorer scorer;
  if (flags.head.empty()) {
    const std::vector<std::string> labels =
        flags.labels_file.empty() ? flags.labels : pipeline::read_lines(flags.labels_file);
    scorer.reading = labels::read_labels(labels::Catalogue::built_in(), labels);
    tell(labels, scorer.reading, flags.model.quiet);
    ClassifyOptions options = flags.classify;
    options.prompts = scorer.reading.prompts;
    auto zero_shot = std::make_unique<ZeroShotHead>(engine.zero_shot_head(labels, options));
    scorer.zero_shot = zero_shot.get();
    scorer.head = std::move(zero_shot);
  } else {
    auto fitted = std::make_unique<heads::FittedHead>(heads::read_head(flags.head));
    for (const std::string& difference : fitted->expect_made_alike(identity))
      if (!flags.model.quiet) say("warning: the head was fitted to vectors of another making: " + difference);
    scorer.fitted = fitted.get();
    scorer.head = std::move(fitted);
  }
  if (flags.json) scorer.identity = identity.fingerprint();
  return scorer;
}

void print(const Scored& scored, const Scorer& scorer, bool as_json) {
  as_json ? print_json(scored, scorer) : print_table(scored, scorer);
  expect_printed();
}

std::vector<pipeline::Failure> score_images(const Flags& flags, const Engine& engine, const Scorer& scorer,
                                            const std::vector<pipeline::ImageInput>& inputs) {
  const auto sink = [&](const std::vector<size_t>& indices, const Matrix& vectors,
                        std::span<const Image> images) {
    const Matrix scores = scorer.head->score(vectors);
    for (size_t i = 0; i < indices.size(); ++i)
      print({inputs[indices[i]].name(), flags.provenance ? images[i].provenance() : nullptr, scores.row(i)},
            scorer, flags.json);
  };
  Progress progress(inputs.size(), "images", flags.model.quiet);
  return encode_images(engine, flags.images.sequence(inputs), read_options(progress), sink);
}

maps::Question question_of(const Engine& engine, const Scorer& scorer) {
  if (scorer.fitted != nullptr) return maps::about_head(*scorer.fitted);
  const std::vector<std::string>& labels = scorer.head->labels();
  return maps::about_labels(
      labels, scorer.zero_shot->label_vectors().clone(),
      engine.encode_texts(maps::texts_of_others(labels.size(), labels::Catalogue::built_in())));
}

// Scores and maps of one computation.
std::vector<pipeline::Failure> explain_images(const Flags& flags, const Engine& engine, const Scorer& scorer,
                                              const std::vector<pipeline::ImageInput>& inputs) {
  const maps::Question question = question_of(engine, scorer);
  const ScoreSplitter splitter = engine.splitter(question.directions());
  pipeline::MapFiles files(flags.explain);
  const auto sink = [&](size_t i, const ImageTokens& tokens, const Image& canvas) {
    Matrix vector(1, tokens.vector.size());
    std::ranges::copy(tokens.vector, vector.row(0).begin());
    const Matrix scores = scorer.head->score(vector);
    files.write({i, inputs[i].name(), inputs[i].path}, canvas,
                maps::Explained(question, splitter.split(tokens)));
    print({inputs[i].name(), flags.provenance ? canvas.provenance() : nullptr, scores.row(0)}, scorer,
          flags.json);
  };
  Progress progress(inputs.size(), "images", flags.model.quiet);
  return encode_image_tokens(engine, flags.images.sequence(inputs), read_options(progress), sink);
}

int classify(const Flags& flags) {
  const pipeline::FoundImages found = flags.images.find();
  const Engine engine = flags.model.open();
  const Scorer scorer = make_scorer(flags, engine);
  auto failures = flags.explain.empty() ? score_images(flags, engine, scorer, found.inputs)
                                        : explain_images(flags, engine, scorer, found.inputs);
  failures.insert(failures.end(), found.failures.begin(), found.failures.end());
  return report(failures);
}

}  // namespace

void add_classify(CLI::App& app, Command& chosen) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand(
      "classify", "Score images against labels, without training, or by a head that mii fit wrote");
  flags->images.add_to(*command, "images");
  auto* labels = command->add_option("--labels", flags->labels,
                                     "Labels, in English or as `mii labels --language` has them");
  auto* file = command->add_option("--labels-file", flags->labels_file, "Labels, one a line");
  labels->excludes(file);
  auto* head = command->add_option("--head", flags->head, "Answer by this head, in place of labels")
                   ->check(CLI::ExistingFile)
                   ->excludes(labels)
                   ->excludes(file);
  auto* multilabel = command->add_flag("--multilabel", flags->classify.multilabel,
                                       "Score each label alone (sigmoid), not against the others");
  auto* templates =
      command->add_option("--template", flags->classify.templates,
                          "Prompt around the label, with {} where it goes; several are averaged");
  head->excludes(multilabel)->excludes(templates);
  command->add_flag("--json", flags->json, "One JSON object a line");
  command->add_flag("--provenance", flags->provenance, "Say how each file became the image that was scored");
  command->add_option(
      "--explain", flags->explain,
      "Also write maps of where each score comes from to this folder, as mii explain --out does");
  flags->model.add_to(*command);
  command->callback([flags, labels, file, head, &chosen] {
    flags->images.expect_any();
    if (labels->empty() && file->empty() && head->empty())
      throw CLI::RequiredError("--labels, --labels-file or --head");
    chosen = [flags] { return classify(*flags); };
  });
}

}  // namespace mii
