#include <algorithm>
#include <cstdio>
#include <memory>
#include <numeric>

#include "commands.h"
#include "core/json_writer.h"
#include "core/utf8.h"
#include "image_flags.h"
#include "labels/reading.h"
#include "model_flags.h"
#include "outcome.h"
#include "output.h"
#include "pipeline/identity.h"
#include "pipeline/provenance.h"

namespace mii {
namespace {

struct Flags {
  ModelFlags model;
  ImageFlags images;
  std::vector<std::string> labels;
  std::string labels_file;
  ClassifyOptions classify;
  bool json = false;
  bool provenance = false;
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

void print_json(const Scored& scored, const std::vector<std::string>& labels, const labels::Reading& reading,
                const std::string& identity) {
  JsonWriter json(JsonWriter::Style::spaced);
  json.begin_object().member("image", scored.name);
  json.key("predictions").begin_object();
  for (const size_t k : descending(scored.scores)) json.member(labels[k], scored.scores[k]);
  json.end_object();
  write_reading(json, labels, reading);
  if (scored.provenance != nullptr)
    json.member("provenance", RawJson{pipeline::provenance_json(*scored.provenance)});
  json.member("identity", identity).end_object();
  std::printf("%s\n", json.finish().c_str());
}

void print_table(const Scored& scored, const std::vector<std::string>& labels) {
  print_line(scored.name);
  if (scored.provenance != nullptr) print_line("  " + pipeline::mapping_text(*scored.provenance));
  for (const size_t k : descending(scored.scores))
    std::printf("  %8.4f  %s\n", scored.scores[k], printable(labels[k]).c_str());
}

// What a label was taken for must be seen before its score is believed.
void tell(const std::vector<std::string>& labels, const labels::Reading& reading, bool quiet) {
  for (size_t k = 0; k < labels.size() && !quiet; ++k)
    if (reading.prompts[k] != labels[k])
      say("label '" + labels[k] + "' is scored as '" + reading.prompts[k] + "'");
  for (const std::string& warning : reading.warnings) say(warning);
}

int classify(const Flags& flags) {
  const pipeline::FoundImages found = flags.images.find();
  const std::vector<pipeline::ImageInput>& inputs = found.inputs;
  const std::vector<std::string> labels =
      flags.labels_file.empty() ? flags.labels : pipeline::read_lines(flags.labels_file);
  const labels::Reading reading = labels::read_labels(labels::Catalogue::built_in(), labels);
  tell(labels, reading, flags.model.quiet);
  const Engine engine = flags.model.open();
  ClassifyOptions options = flags.classify;
  options.prompts = reading.prompts;
  const ZeroShotHead head = engine.zero_shot_head(labels, options);
  const std::string identity =
      flags.json ? engine.identity(pipeline::preprocessing_text(flags.images.decode.options())).fingerprint()
                 : "";
  const auto sink = [&](const std::vector<size_t>& indices, const Matrix& vectors,
                        std::span<const Image> images) {
    const Matrix scores = head.score(vectors);
    for (size_t i = 0; i < indices.size(); ++i) {
      const Scored scored{inputs[indices[i]].name(), flags.provenance ? images[i].provenance() : nullptr,
                          scores.row(i)};
      flags.json ? print_json(scored, labels, reading, identity) : print_table(scored, labels);
    }
    expect_printed();
  };
  Progress progress(inputs.size(), "images", flags.model.quiet);
  auto failures = encode_images(engine, flags.images.sequence(inputs), read_options(progress), sink);
  failures.insert(failures.end(), found.failures.begin(), found.failures.end());
  return report(failures);
}

}  // namespace

void add_classify(CLI::App& app, Command& chosen) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand("classify", "Score images against labels, without training");
  flags->images.add_to(*command, "images");
  auto* labels = command->add_option("--labels", flags->labels,
                                     "Labels, in English or as `mii labels --language` has them");
  auto* file = command->add_option("--labels-file", flags->labels_file, "Labels, one a line");
  labels->excludes(file);
  command->add_flag("--multilabel", flags->classify.multilabel,
                    "Score each label alone (sigmoid), not against the others");
  command->add_option("--template", flags->classify.templates,
                      "Prompt around the label, with {} where it goes; several are averaged");
  command->add_flag("--json", flags->json, "One JSON object a line");
  command->add_flag("--provenance", flags->provenance, "Say how each file became the image that was scored");
  flags->model.add_to(*command);
  command->callback([flags, labels, file, &chosen] {
    flags->images.expect_any();
    if (labels->empty() && file->empty()) throw CLI::RequiredError("--labels or --labels-file");
    chosen = [flags] { return classify(*flags); };
  });
}

}  // namespace mii
