#include <algorithm>
#include <cstdio>
#include <memory>

#include "backend/precision.h"
#include "backend/registry.h"
#include "commands.h"
#include "core/json_writer.h"
#include "eval/vector_comparison.h"
#include "image_flags.h"
#include "mii/error.h"
#include "model_flags.h"
#include "outcome.h"
#include "output.h"
#include "pipeline/encode.h"

namespace mii {
namespace {

struct Flags {
  std::string model;
  ImageFlags images;
  std::vector<std::string> precisions{"f32", "int8"};
  std::vector<std::string> labels{
      "X-Ray",      "Magnetic Resonance Imaging", "Computed Tomography",         "Ultrasound",
      "Dermoscopy", "Clinical Photography",       "Optical Coherence Tomography"};
  std::string backend = "auto";
  size_t worst = 5;
  int threads = 0;
  bool json = false;
  bool quiet = false;
};

// What one precision makes of the images that could be read.
struct Computed {
  std::vector<size_t> indices;  // of the inputs
  Answers answers;
};

// Rows of numbers, as many as `rows`.
Matrix matrix_of(const std::vector<float>& values, size_t rows) {
  Matrix matrix(rows, rows == 0 ? 0 : values.size() / rows);
  std::ranges::copy(values, matrix.values().begin());
  return matrix;
}

// "; cpu or reference does", or nothing.
std::string where_else(Precision precision) {
  std::string names;
  for (const BackendEntry& entry : backends())
    if (entry.available() && std::ranges::count(entry.precisions(), precision) > 0)
      names += (names.empty() ? "; " : " or ") + std::string(entry.name);
  return names.empty() ? names : names + " does";
}

Computed compute(const Flags& flags, const std::string& precision,
                 const std::vector<pipeline::ImageInput>& inputs, std::vector<pipeline::Failure>& failures) {
  const ModelFlags model{.model = flags.model,
                         .precision = precision,
                         .backend = flags.backend,
                         .threads = flags.threads,
                         .quiet = flags.quiet};
  const Engine engine = model.open();
  if (engine.info().precision != parse_precision(precision))
    throw Error(ErrorCode::unsupported, "backend " + flags.backend + " does not compute in " + precision +
                                            " here" + where_else(parse_precision(precision)));
  const ZeroShotHead head = engine.zero_shot_head(flags.labels);
  std::vector<size_t> indices;
  std::vector<float> vectors, scores;
  Progress progress(inputs.size(), "images", flags.quiet);
  failures = encode_images(engine, flags.images.sequence(inputs), read_options(progress),
                           [&](const std::vector<size_t>& batch, const Matrix& rows, std::span<const Image>) {
                             const Matrix scored = head.score(rows);
                             indices.insert(indices.end(), batch.begin(), batch.end());
                             vectors.insert(vectors.end(), rows.values().begin(), rows.values().end());
                             scores.insert(scores.end(), scored.values().begin(), scored.values().end());
                           });
  const size_t n = indices.size();
  return {std::move(indices), {matrix_of(vectors, n), matrix_of(scores, n)}};
}

void print_text(const Flags& flags, const VectorComparison& c, const std::vector<std::string>& names) {
  std::printf(
      "%s and %s, %zu images: cosine distance mean %.2e, median %.2e, largest %.2e; same best label of %zu: "
      "%zu\n",
      flags.precisions[0].c_str(), flags.precisions[1].c_str(), c.images.size(), c.mean, c.median, c.largest,
      flags.labels.size(), c.agreeing);
  for (size_t i = 0; i < std::min(flags.worst, c.images.size()); ++i) {
    const ImageDifference& d = c.images[i];
    char distance[32];
    std::snprintf(distance, sizeof(distance), "  %.2e  ", d.distance);
    print_line(distance + names[d.image] +
               (d.from == d.to ? "" : "  " + flags.labels[d.from] + " > " + flags.labels[d.to]));
  }
}

void print_json(const Flags& flags, const VectorComparison& c, const std::vector<std::string>& names) {
  JsonWriter json(JsonWriter::Style::spaced);
  json.begin_object().member("from", flags.precisions[0]).member("to", flags.precisions[1]);
  json.member("images", c.images.size()).member("mean", c.mean).member("median", c.median);
  json.member("largest", c.largest).member("agreeing", c.agreeing);
  json.key("worst").begin_array();
  for (size_t i = 0; i < std::min(flags.worst, c.images.size()); ++i) {
    const ImageDifference& d = c.images[i];
    json.begin_object().member("image", names[d.image]).member("distance", d.distance);
    json.member("from", flags.labels[d.from]).member("to", flags.labels[d.to]).end_object();
  }
  json.end_array().end_object();
  std::printf("%s\n", json.finish().c_str());
}

int run(const Flags& flags) {
  const pipeline::FoundImages found = flags.images.find();
  std::vector<pipeline::Failure> failures;
  const Computed from = compute(flags, flags.precisions[0], found.inputs, failures);
  const Computed to = compute(flags, flags.precisions[1], found.inputs, failures);
  if (from.indices != to.indices) throw Error(ErrorCode::io, "images changed during the comparison");
  if (!from.indices.empty()) {
    std::vector<std::string> names;
    for (const size_t i : from.indices) names.push_back(found.inputs[i].name());
    (flags.json ? print_json : print_text)(flags, compare_vectors(from.answers, to.answers), names);
  }
  failures.insert(failures.end(), found.failures.begin(), found.failures.end());
  return report(failures);
}

// Throws CLI::ValidationError unless it is two precisions with a comma between them.
std::vector<std::string> split_pair(const std::string& pair) {
  const size_t comma = pair.find(',');
  std::vector<std::string> both{pair.substr(0, comma),
                                comma == std::string::npos ? "" : pair.substr(comma + 1)};
  const std::vector<std::string> known = precision_choices();
  for (const std::string& name : both)
    if (name == "auto" || std::ranges::find(known, name) == known.end())
      throw CLI::ValidationError("--precision", "'" + pair + "', expected two as in f32,int8");
  return both;
}

}  // namespace

void add_compare(CLI::App& app, Command& chosen) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command =
      app.add_subcommand("compare", "What another precision changes for these images: distances and answers");
  command->add_option("MODEL", flags->model, "Model folder")->required();
  flags->images.add_to(*command, "images");
  // One word, so that no image is taken for a precision.
  command
      ->add_option_function<std::string>(
          "--precision", [flags](const std::string& pair) { flags->precisions = split_pair(pair); },
          "The two, FROM,TO [f32,int8]")
      ->type_name("A,B");
  command->add_option("--labels", flags->labels, "Labels of which the best is an image's answer")
      ->capture_default_str();
  command->add_option("--worst", flags->worst, "How many of the furthest images are listed")
      ->check(CLI::Range(0, 1000000))
      ->capture_default_str();
  command->add_option("--backend", flags->backend, backend_help())
      ->check(CLI::IsMember(backend_choices()))
      ->capture_default_str();
  command->add_option("--threads", flags->threads, "0: all cores")->check(CLI::Range(0, 1024));
  command->add_flag("--json", flags->json, "One JSON object");
  command->add_flag("--quiet", flags->quiet, "No progress bar, no warnings");
  command->callback([flags, &chosen] {
    flags->images.expect_any();
    chosen = [flags] { return run(*flags); };
  });
}

}  // namespace mii
