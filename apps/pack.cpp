#include "pack.h"

#include <cstdio>
#include <memory>

#include "commands.h"
#include "dataset/manifest.h"
#include "outcome.h"
#include "output.h"
#include "program_files.h"

namespace mii {

int write_pack(const PackFlags& flags, const std::filesystem::path& out) {
  Progress progress(Manifest::read(flags.pack.manifest).rows(), "images", flags.quiet);
  pipeline::PackOptions options = flags.pack;
  if (options.captions.empty())
    options.captions = program_file("training/captions.yaml", "training/captions.yaml");
  options.read = read_options(progress);
  const pipeline::PackSummary summary = make_pack(options, out);
  for (const pipeline::Failure& failure : summary.failures)
    say(failure.input + ": left out: " + failure.reason);
  if (!flags.quiet)
    std::fprintf(stderr, "%zu images (%.1f MiB), %zu label sets, %zu concepts, %zu captions, %zu tokens\n",
                 summary.images, static_cast<double>(summary.image_bytes) / (1 << 20), summary.label_sets,
                 summary.concepts, summary.captions, summary.tokens);
  return summary.failures.empty() ? kOk : kSomeInputsFailed;
}

void add_pack_flags(CLI::App& command, PackFlags& flags) {
  command
      .add_option("--captions", flags.pack.captions, "Templates and synonyms (YAML) [training/captions.yaml]")
      ->check(CLI::ExistingFile);
  command.add_option("--model", flags.pack.model, "Continue from this model folder")
      ->check(CLI::ExistingDirectory);
  command.add_option("--config", flags.pack.config, "Train from scratch: a config.yaml")
      ->check(CLI::ExistingFile);
  command
      .add_option("--tokenizer", flags.pack.tokenizer,
                  "Train from scratch: folder with vocab.json and merges.txt")
      ->check(CLI::ExistingDirectory);
  command.add_flag("--trim-vocabulary", flags.pack.trim_vocabulary,
                   "Keep only the tokens that the captions use");
  command.add_option("--where", flags.pack.where, "Use rows with column=value[,value...]; may be repeated")
      ->expected(1)
      ->take_all();
  command.add_option("--max-captions", flags.pack.max_captions, "Captions kept of each concept")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  command
      .add_option("--margin", flags.pack.margin_percent,
                  "Keep images this much larger than the model's input, per cent")
      ->check(CLI::Range(0, 300))
      ->capture_default_str();
  command.add_option("--quality", flags.pack.quality, "JPEG quality of the packed images")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
}

void add_pack(CLI::App& app, Command& chosen) {
  struct Flags {
    PackFlags pack;
    std::filesystem::path out;
  };
  auto flags = std::make_shared<Flags>();
  flags->pack.pack.margin_percent = 37;  // the pack is meant to be moved: a third of the bytes
  flags->pack.pack.quality = 40;
  CLI::App* command = app.add_subcommand("pack", "Decode, resize and label images once, for training");
  command
      ->add_option("manifest", flags->pack.pack.manifest,
                   "Table of images: path, split, and the fields of the captions (CSV or TSV)")
      ->required()
      ->check(CLI::ExistingFile);
  command->add_option("-o,--out", flags->out, "Folder to write")->required();
  add_pack_flags(*command, flags->pack);
  command->add_flag("-q,--quiet", flags->pack.quiet, "No progress");
  command->callback([&chosen, flags] { chosen = [flags] { return write_pack(flags->pack, flags->out); }; });
}

}  // namespace mii
