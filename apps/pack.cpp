#include "pack.h"

#include <cstdio>
#include <map>

#include "commands.h"
#include "core/reason.h"
#include "image/encode_jpeg.h"
#include "image/preprocess.h"
#include "interrupt.h"
#include "mii/error.h"
#include "output.h"
#include "dataset/captions.h"
#include "dataset/manifest.h"
#include "dataset/pack.h"
#include "program_files.h"
#include "progress.h"
#include "text/clip_tokenizer.h"
#include "text/trim_vocabulary.h"
#include "weights/model_folder.h"

namespace mii {
namespace {

constexpr const char* kTokenizerFolder = "language_model/clip_tokenizer_4.16.2";

Manifest read_manifest(const PackFlags& flags) {
  Manifest manifest = Manifest::read(flags.manifest);
  for (const std::string& condition : flags.where) manifest.keep_where(condition);
  return manifest;
}

// The configuration and the tokenizer of the model that training writes, in pack/model.
void copy_model_files(const PackFlags& flags, const std::vector<std::string>& captions,
                      const std::filesystem::path& to) {
  namespace fs = std::filesystem;
  fs::path config = flags.config, tokenizer = flags.tokenizer;
  if (!flags.model.empty()) {
    const ModelFolder folder = ModelFolder::find(flags.model);
    config = folder.config;
    tokenizer = folder.tokenizer;
  } else if (config.empty() || tokenizer.empty()) {
    throw Error(ErrorCode::invalid_argument, "either --model, or --config and --tokenizer are needed");
  }
  fs::remove_all(to);
  fs::create_directories(to / kTokenizerFolder);
  fs::copy_file(config, to / "config.yaml");
  if (flags.trim_vocabulary) {
    if (!flags.model.empty())
      throw Error(ErrorCode::invalid_argument,
                  "--trim-vocabulary: the weights of --model belong to its whole vocabulary");
    trim_vocabulary(tokenizer, captions, to / kTokenizerFolder);
  } else {
    fs::copy(tokenizer, to / kTokenizerFolder,
             fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  }
}

LabelSet label_set_of(const Manifest& manifest, size_t row, const std::vector<std::string>& fields) {
  LabelSet set;
  for (const std::string& field : fields) set.push_back(manifest.at(row, field));
  return set;
}

}  // namespace

int make_pack(const PackFlags& flags, const std::filesystem::path& out) {
  const Manifest manifest = read_manifest(flags);
  const std::filesystem::path captions_file =
      flags.captions.empty() ? program_file("training/captions.yaml", "training/captions.yaml")
                             : flags.captions;
  const CaptionRules rules = CaptionRules::read(captions_file);
  for (const std::string& field : rules.fields)
    if (!manifest.has(field))
      throw Error(ErrorCode::invalid_argument, flags.manifest.string() + ": has no column '" + field +
                                                   "', a field of " + captions_file.string());
  std::map<LabelSet, int32_t> numbers;
  std::vector<LabelSet> sets;
  for (size_t row = 0; row < manifest.rows(); ++row) {
    LabelSet set = label_set_of(manifest, row, rules.fields);
    if (numbers.emplace(set, static_cast<int32_t>(sets.size())).second) sets.push_back(std::move(set));
  }
  const Composition composition = compose(rules, sets, flags.max_captions);
  std::vector<std::string> captions;
  for (const ComposedConcept& composed : composition.concepts)
    captions.insert(captions.end(), composed.captions.begin(), composed.captions.end());

  copy_model_files(flags, captions, out / "model");
  const ClipTokenizer tokenizer = ClipTokenizer::load(out / "model" / kTokenizerFolder);
  Pack pack;
  pack.model = ModelConfig::read(out / "model" / "config.yaml");
  pack.vocabulary_size = tokenizer.vocabulary_size();
  pack.fields = rules.fields;
  pack.truth = composition.truth;
  for (const LabelSet& set : sets) {
    std::string values = set.front();
    for (size_t f = 1; f < set.size(); ++f) values += '\t' + set[f];
    pack.label_sets.push_back(values);
  }
  for (const ComposedConcept& composed : composition.concepts) {
    const auto id = static_cast<int32_t>(pack.concepts.size());
    pack.concepts.push_back(composed.about);
    for (const std::string& caption : composed.captions)
      pack.captions.push_back(
          {id, tokenizer.encode(caption, static_cast<size_t>(pack.model.text.context_length))});
  }

  const auto with_margin = [&](int64_t size) {
    return static_cast<size_t>(size) * (100 + flags.margin_percent) / 100;
  };
  Progress progress(manifest.rows(), "images", flags.quiet);
  size_t failed = 0, bytes = 0;
  for (size_t row = 0; row < manifest.rows(); ++row) {
    if (interrupted()) throw Error(ErrorCode::cancelled, "interrupted; nothing was packed");
    progress.advance(1);
    try {
      const Image image = resize_bicubic(Image::read(manifest.path(row)), with_margin(pack.model.image.width),
                                         with_margin(pack.model.image.height));
      const std::string& split = manifest.at(row, "split");
      pack.images.push_back({!split.empty() && split != "train",
                             numbers.at(label_set_of(manifest, row, rules.fields)),
                             encode_jpeg(image, flags.quality)});
      bytes += pack.images.back().jpeg.size();
    } catch (const std::exception& error) {
      say(manifest.path(row).string() + ": left out: " + reason_of(error));
      ++failed;
    }
  }
  write_pack(pack, out);
  if (!flags.quiet)
    std::fprintf(stderr, "%zu images (%.1f MiB), %zu label sets, %zu concepts, %zu captions, %lld tokens\n",
                 pack.images.size(), static_cast<double>(bytes) / (1 << 20), sets.size(),
                 pack.concepts.size(), pack.captions.size(), static_cast<long long>(pack.vocabulary_size));
  return failed == 0 ? kOk : kSomeInputsFailed;
}

void add_pack_flags(CLI::App& command, PackFlags& flags) {
  command.add_option("--captions", flags.captions, "Templates and synonyms (YAML) [training/captions.yaml]")
      ->check(CLI::ExistingFile);
  command.add_option("--model", flags.model, "Go on from this model folder")->check(CLI::ExistingDirectory);
  command.add_option("--config", flags.config, "Start from nothing: a config.yaml")->check(CLI::ExistingFile);
  command
      .add_option("--tokenizer", flags.tokenizer, "Start from nothing: folder with vocab.json and merges.txt")
      ->check(CLI::ExistingDirectory);
  command.add_flag("--trim-vocabulary", flags.trim_vocabulary, "Keep only the tokens that the captions use");
  command.add_option("--where", flags.where, "Use rows with column=value[,value...]; may be repeated")
      ->expected(1)
      ->take_all();
  command.add_option("--max-captions", flags.max_captions, "Captions kept of each concept")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  command
      .add_option("--margin", flags.margin_percent,
                  "Keep images this much larger than the model's input, per cent")
      ->check(CLI::Range(0, 300))
      ->capture_default_str();
  command.add_option("--quality", flags.quality, "JPEG quality of the packed images")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
}

void add_pack(CLI::App& app, Command& chosen) {
  struct Flags {
    PackFlags pack;
    std::filesystem::path out;
  };
  auto flags = std::make_shared<Flags>();
  flags->pack.margin_percent = 37;  // a pack is to be carried: a third of the bytes
  flags->pack.quality = 40;
  CLI::App* command = app.add_subcommand("pack", "Decode, resize and label images once, for training");
  command
      ->add_option("manifest", flags->pack.manifest,
                   "Table of images: path, split, and the fields of the captions (TSV)")
      ->required()
      ->check(CLI::ExistingFile);
  command->add_option("-o,--out", flags->out, "Folder to write")->required();
  add_pack_flags(*command, flags->pack);
  command->add_flag("-q,--quiet", flags->pack.quiet, "No progress");
  command->callback([&chosen, flags] { chosen = [flags] { return make_pack(flags->pack, flags->out); }; });
}

}  // namespace mii
