#include "pipeline/make_pack.h"

#include <map>
#include <utility>

#include "dataset/captions.h"
#include "dataset/manifest.h"
#include "dataset/pack.h"
#include "image/encode_jpeg.h"
#include "image/preprocess.h"
#include "mii/error.h"
#include "text/clip_tokenizer.h"
#include "text/trim_vocabulary.h"
#include "weights/model_folder.h"

namespace mii::pipeline {
namespace {

constexpr const char* kTokenizerFolder = "language_model/clip_tokenizer_4.16.2";

// The configuration and the tokenizer of the model that training writes, in pack/model.
void copy_model_files(const PackOptions& options, const std::vector<std::string>& captions,
                      const std::filesystem::path& to) {
  namespace fs = std::filesystem;
  fs::path config = options.config, tokenizer = options.tokenizer;
  if (!options.model.empty()) {
    const ModelFolder folder = ModelFolder::find(options.model);
    config = folder.config;
    tokenizer = folder.tokenizer;
  } else if (config.empty() || tokenizer.empty()) {
    throw Error(ErrorCode::invalid_argument, "either a model, or a configuration and a tokenizer are needed");
  }
  fs::remove_all(to);
  fs::create_directories(to / kTokenizerFolder);
  fs::copy_file(config, to / "config.yaml");
  if (options.trim_vocabulary) {
    if (!options.model.empty())
      throw Error(ErrorCode::invalid_argument,
                  "the vocabulary cannot be trimmed: the model's weights belong to all of it");
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

// The captions that the manifest's rows have by the rules, and the rows' label sets by number.
struct LabelledRows {
  std::map<LabelSet, int32_t> numbers;
  std::vector<LabelSet> sets;
};

LabelledRows label_sets_of(const Manifest& manifest, const std::vector<std::string>& fields) {
  LabelledRows rows;
  for (size_t row = 0; row < manifest.rows(); ++row) {
    LabelSet set = label_set_of(manifest, row, fields);
    if (rows.numbers.emplace(set, static_cast<int32_t>(rows.sets.size())).second)
      rows.sets.push_back(std::move(set));
  }
  return rows;
}

void add_captions(const Composition& composition, const ClipTokenizer& tokenizer, Pack& pack) {
  const auto length = static_cast<size_t>(pack.model.text.context_length);
  for (const ComposedConcept& composed : composition.concepts) {
    const auto id = static_cast<int32_t>(pack.concepts.size());
    pack.concepts.push_back(composed.about);
    for (const std::string& caption : composed.captions)
      pack.captions.push_back({id, tokenizer.encode(caption, length)});
  }
}

std::string joined(const LabelSet& set) {
  std::string values = set.front();
  for (size_t f = 1; f < set.size(); ++f) values += '\t' + set[f];
  return values;
}

// Of each row: patients are numbered as they come; -1 without one.
std::vector<int32_t> patient_numbers(const Manifest& manifest) {
  std::map<std::string, int32_t> known;
  std::vector<int32_t> numbers;
  for (size_t row = 0; row < manifest.rows(); ++row) {
    const std::string& patient = manifest.at(row, "patient");
    numbers.push_back(
        patient.empty() ? -1 : known.try_emplace(patient, static_cast<int32_t>(known.size())).first->second);
  }
  return numbers;
}

}  // namespace

PackSummary make_pack(const PackOptions& options, const std::filesystem::path& out) {
  const Manifest manifest = Manifest::read(options.manifest, options.where);
  const CaptionRules rules = CaptionRules::read(options.captions);
  for (const std::string& field : rules.fields)
    if (!manifest.has(field))
      throw Error(ErrorCode::invalid_argument, options.manifest.string() + ": has no column '" + field +
                                                   "', a field of " + options.captions.string());
  const LabelledRows labelled = label_sets_of(manifest, rules.fields);
  const Composition composition = compose(rules, labelled.sets, options.max_captions);
  std::vector<std::string> captions;
  for (const ComposedConcept& composed : composition.concepts)
    captions.insert(captions.end(), composed.captions.begin(), composed.captions.end());

  copy_model_files(options, captions, out / "model");
  const ClipTokenizer tokenizer = ClipTokenizer::load(out / "model" / kTokenizerFolder);
  Pack pack;
  pack.model = ModelConfig::read(out / "model" / "config.yaml");
  pack.vocabulary_size = tokenizer.vocabulary_size();
  pack.fields = rules.fields;
  pack.truth = composition.truth;
  for (const LabelSet& set : labelled.sets) pack.label_sets.push_back(joined(set));
  add_captions(composition, tokenizer, pack);

  const auto with_margin = [&](int64_t size) {
    return static_cast<size_t>(size) * (100 + options.margin_percent) / 100;
  };
  const size_t width = with_margin(pack.model.image.width), height = with_margin(pack.model.image.height);
  std::vector<ImageInput> inputs;
  for (size_t row = 0; row < manifest.rows(); ++row)
    inputs.push_back({manifest.path(row).string(), std::nullopt});
  const std::vector<int32_t> patients = patient_numbers(manifest);
  using Jpeg = std::vector<std::byte>;
  PackSummary summary;
  summary.failures = read_images<Jpeg>(
      images_of(std::move(inputs), {}), options.read,
      [&](size_t, const Image& image) {
        return encode_jpeg(resize_bicubic(image, width, height), options.quality);
      },
      [&](size_t row, Jpeg jpeg) {
        const std::string& split = manifest.at(row, "split");
        summary.image_bytes += jpeg.size();
        pack.images.push_back({!split.empty() && split != "train",
                               labelled.numbers.at(label_set_of(manifest, row, rules.fields)),
                               std::move(jpeg), patients[row]});
      });
  if (options.read.cancelled && options.read.cancelled())
    throw Error(ErrorCode::cancelled, "interrupted; nothing was packed");
  write_pack(pack, out);
  summary.images = pack.images.size();
  summary.label_sets = pack.label_sets.size();
  summary.concepts = pack.concepts.size();
  summary.captions = pack.captions.size();
  summary.tokens = static_cast<size_t>(pack.vocabulary_size);
  return summary;
}

}  // namespace mii::pipeline
