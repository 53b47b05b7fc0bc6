#include <cstdio>
#include <memory>
#include <optional>

#include "commands.h"
#include "core/json_writer.h"
#include "core/utf8.h"
#include "decode_flags.h"
#include "heads/head_file.h"
#include "interrupt.h"
#include "layer_flags.h"
#include "mii/error.h"
#include "model_flags.h"
#include "outcome.h"
#include "output.h"
#include "pipeline/fit_manifest.h"

namespace mii {
namespace {

struct Flags {
  ModelFlags model;
  DecodeFlags decode;
  std::string manifest;
  std::string vectors;
  std::string kind = "logistic";
  std::string calibration = "temperature";
  std::vector<std::string> points;
  pipeline::ManifestFit fit;
  LayerFlags layers;
  std::string out;
  bool json = false;
};

pipeline::ManifestFit options_of(const Flags& flags) {
  pipeline::ManifestFit options = flags.fit;
  options.fit.kind = heads::parse_kind(flags.kind);
  options.fit.calibration = heads::parse_calibration(flags.calibration);
  for (const std::string& point : flags.points) options.fit.points.push_back(heads::PointRule::parse(point));
  if (options.fit.kind == heads::Kind::mlp)
    options.fit.train_mlp = flags.layers.trainer(options.fit.seed, flags.model.quiet);
  options.fit.data = flags.manifest;
  for (const std::string& condition : options.where) options.fit.data += ", " + condition;
  for (const std::string& condition : options.calibrate_where)
    options.fit.data += "; calibrated where " + condition;
  return options;
}

void print_losses(const heads::FitRecord& record) {
  if (record.c == 0 || record.losses.empty()) return;
  for (const auto& [c, loss] : record.losses)
    std::printf("C %-8.4g mean loss %.4f%s\n", c, loss, c == record.c ? "  chosen" : "");
  std::printf("\n");
}

int fit(const Flags& flags) try {
  const pipeline::ManifestFit options = options_of(flags);
  const Manifest manifest = Manifest::read(flags.manifest);
  const pipeline::FitRows rows = fit_rows(manifest, options);
  std::optional<Engine> engine;
  if (flags.vectors.empty() || needs_texts(options.fit)) engine = flags.model.open();
  std::vector<pipeline::Failure> failures;
  pipeline::RowVectors encoded;
  if (flags.vectors.empty()) {
    Progress progress(rows.all.size(), "images", flags.model.quiet);
    encoded = encode_rows(*engine, manifest, rows, flags.decode.options(), read_options(progress), failures);
  } else {
    encoded = find_vectors(manifest, rows, flags.vectors, failures);
  }
  if (interrupted()) return kInterrupted;
  const heads::FittedHead head = fit_manifest(manifest, rows, encoded, engine ? &*engine : nullptr, options);
  write_head(head, flags.out);
  if (flags.json) {
    std::printf("%s\n", head_json(head.parts()).c_str());
  } else {
    print_losses(head.parts().record);
    std::fputs(printable_lines(head_card(head.parts())).c_str(), stdout);
  }
  return report(failures);
} catch (const LayerFlags::Interrupted&) {
  return kInterrupted;
}

void add_data_flags(CLI::App& command, Flags& flags) {
  command
      .add_option("manifest", flags.manifest,
                  "Table of images: path, patient, and a column with the truth (CSV or TSV)")
      ->required()
      ->check(CLI::ExistingFile);
  command.add_option("--field", flags.fit.fit.field, "The column that the head is to answer")->required();
  command.add_flag("--multilabel", flags.fit.several,
                   "Its cells hold several labels, separated by ; or |, each of which is answered alone");
  command.add_flag("--number", flags.fit.numbers, "Its cells hold numbers, for ridge or mlp [ridge: always]")
      ->excludes("--multilabel");
  command.add_option("--where", flags.fit.where, "Use rows with column=value[,value...]; may be repeated")
      ->expected(1)
      ->take_all();
  command
      .add_option("--vectors", flags.vectors,
                  "Take the images' vectors from a file of mii embed, by their paths, and read no image")
      ->check(CLI::ExistingFile);
}

void add_fit_flags(CLI::App& command, Flags& flags) {
  heads::FitOptions& fit = flags.fit.fit;
  command
      .add_option("--kind", flags.kind,
                  "logistic, ridge (numbers), knn, ss-text or lp++ (few images), mlp (hidden layers; needs "
                  "the trainer)")
      ->check(CLI::IsMember({"logistic", "ridge", "knn", "ss-text", "lp++", "mlp"}))
      ->capture_default_str();
  command.add_flag("--with-texts", fit.with_texts,
                   "Join with zero-shot: the geometric mean of both probabilities");
  command.add_option("--template", fit.templates,
                     "Prompt around a label's text, with {} where it goes; several are averaged");
  command.add_option("--C", fit.c, "Inverse penalty of logistic and ridge [chosen by cross-validation]")
      ->check(CLI::PositiveNumber);
  command.add_option("--folds", fit.folds, "Of the cross-validation; a patient is never in two")
      ->check(CLI::Range(2, 100))
      ->capture_default_str();
  command.add_flag("--balanced", fit.balanced, "Rare labels count as much as frequent ones");
  command.add_option("-k", fit.k, "knn: nearest neighbours that vote")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command.add_option("--seed", fit.seed, "Decides which patients are in which fold, and how an mlp begins")
      ->capture_default_str();
}

void add_calibration_flags(CLI::App& command, Flags& flags) {
  command
      .add_option(
          "--calibrate-where", flags.fit.calibrate_where,
          "Calibrate on rows with column=value, which are not fitted; may be repeated [a fifth of the "
          "patients]")
      ->expected(1)
      ->take_all();
  command.add_flag("--allow-shared-patients", flags.fit.fit.allow_shared_patients,
                   "A patient may have rows that are fitted and rows that calibrate");
  command.add_option("--calibration", flags.calibration, "temperature, platt, isotonic or none")
      ->check(CLI::IsMember({"temperature", "platt", "isotonic", "none"}))
      ->capture_default_str();
  command
      .add_option(
          "--point", flags.points,
          "Operating point of each label: youden, f1, sensitivity=S, specificity=S or cost=R, when a miss "
          "costs R false alarms; two make a band of negative, possible, positive")
      ->expected(1)
      ->take_all();
}

}  // namespace

void add_fit(CLI::App& app, Command& chosen) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand("fit", "Fit a head to labelled images, for mii classify --head");
  add_data_flags(*command, *flags);
  add_fit_flags(*command, *flags);
  flags->layers.add_to(*command);
  add_calibration_flags(*command, *flags);
  command->add_option("--out", flags->out, "The head's file")->required();
  command->add_flag("--json", flags->json, "Print what the head holds as one JSON object");
  flags->decode.add_to(*command);
  flags->model.add_to(*command);
  command->callback([&chosen, flags] { chosen = [flags] { return fit(*flags); }; });
}

}  // namespace mii
