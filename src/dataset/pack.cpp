#include "dataset/pack.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <span>
#include <sstream>
#include <string_view>

#include "core/file.h"
#include "mii/error.h"
#include "weights/safetensors.h"

namespace mii {
namespace {

using Metadata = std::map<std::string, std::string>;

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

template <typename... Values>
std::string words(const Values&... values) {
  std::ostringstream stream;
  stream.precision(9);
  ((stream << values << ' '), ...);
  std::string text = stream.str();
  text.pop_back();
  return text;
}

void describe_model(const ModelConfig& model, Metadata& metadata) {
  const ImageTowerConfig& image = model.image;
  metadata["image.size"] = words(image.width, image.height);
  metadata["image.mean"] = words(image.mean[0], image.mean[1], image.mean[2]);
  metadata["image.std"] = words(image.std[0], image.std[1], image.std[2]);
  metadata["image.window"] =
      words(image.window_size, image.conv_at_attn, image.conv_at_ffn, image.dynamic_scale);
  metadata["image.stages"] = words(image.stages.size());
  for (size_t s = 0; s < image.stages.size(); ++s) {
    const StageConfig& stage = image.stages[s];
    metadata["image.stage." + std::to_string(s)] =
        words(stage.dim, stage.depth, stage.heads, stage.groups, stage.patch_size, stage.patch_stride,
              stage.patch_padding, stage.patch_prenorm);
  }
  metadata["text"] = words(model.text.context_length, model.text.width, model.text.heads, model.text.layers,
                           model.text.causal);
  metadata["embedding_dim"] = words(model.embedding_dim);
}

/// One file of a pack; its tensors are checked as they are taken out.
class PackFile {
 public:
  explicit PackFile(const std::filesystem::path& path)
      : name_(path.string()),
        file_(MappedFile::open(path)),
        content_(parse_safetensors(file_.bytes(), name_)) {}

  bool has(const std::string& name) const { return content_.tensors.contains(name); }

  template <typename T>
  std::vector<T> values(const std::string& name, DType dtype) const {
    const auto found = content_.tensors.find(name);
    if (found == content_.tensors.end()) fail("has no tensor '" + name + "'");
    if (found->second.dtype != to_string(dtype))
      fail("tensor '" + name + "' has dtype " + found->second.dtype + ", expected " + to_string(dtype));
    std::vector<T> copy(found->second.data.size() / sizeof(T));
    if (!copy.empty()) std::memcpy(copy.data(), found->second.data.data(), found->second.data.size());
    return copy;
  }

  const std::string& text(const std::string& key) const {
    const auto found = content_.metadata.find(key);
    if (found == content_.metadata.end()) fail("has no metadata '" + key + "'");
    return found->second;
  }

  template <typename... Values>
  void numbers(const std::string& key, Values&... values) const {
    std::istringstream stream(text(key));
    if (!(stream >> ... >> values)) fail("metadata '" + key + "' are not the numbers expected");
  }

  void expect(bool holds, const std::string& what) const {
    if (!holds) fail(what);
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorCode::corrupt_weights, name_ + ": " + what);
  }

 private:
  std::string name_;
  MappedFile file_;
  Safetensors content_;
};

ModelConfig read_model(const PackFile& file) {
  ModelConfig model;
  ImageTowerConfig& image = model.image;
  file.numbers("image.size", image.width, image.height);
  file.numbers("image.mean", image.mean[0], image.mean[1], image.mean[2]);
  file.numbers("image.std", image.std[0], image.std[1], image.std[2]);
  file.numbers("image.window", image.window_size, image.conv_at_attn, image.conv_at_ffn, image.dynamic_scale);
  size_t stages = 0;
  file.numbers("image.stages", stages);
  file.expect(stages >= 1 && stages <= 16, "a model of " + std::to_string(stages) + " stages");
  image.stages.resize(stages);
  for (size_t s = 0; s < stages; ++s) {
    StageConfig& stage = image.stages[s];
    file.numbers("image.stage." + std::to_string(s), stage.dim, stage.depth, stage.heads, stage.groups,
                 stage.patch_size, stage.patch_stride, stage.patch_padding, stage.patch_prenorm);
  }
  file.numbers("text", model.text.context_length, model.text.width, model.text.heads, model.text.layers,
               model.text.causal);
  file.numbers("embedding_dim", model.embedding_dim);
  return model;
}

std::filesystem::path shard_path(const std::filesystem::path& folder, size_t number) {
  std::string digits = std::to_string(number);
  digits.insert(0, digits.size() < 3 ? 3 - digits.size() : 0, '0');
  return folder / ("images-" + digits + ".safetensors");
}

// Tensors to be written, gathered first because a safetensors header comes before the data.
class TensorList {
 public:
  template <typename T>
  void add(const std::string& name, DType dtype, const std::vector<T>& values) {
    entries_.push_back({name, dtype, {static_cast<int64_t>(values.size())}});
    const auto bytes = std::as_bytes(std::span(values));
    data_.emplace_back(bytes.begin(), bytes.end());
  }

  void write(const std::filesystem::path& path, const Metadata& metadata) const {
    SafetensorsWriter writer(path, entries_, metadata);
    for (const auto& bytes : data_) writer.write(bytes);
    writer.commit();
  }

 private:
  std::vector<SafetensorsWriter::Entry> entries_;
  std::vector<std::vector<std::byte>> data_;
};

void write_images(const Pack& pack, const std::filesystem::path& folder, uint64_t max_shard_bytes) {
  constexpr uint64_t kHeaderBytes = 4096;
  size_t shard = 0;
  for (size_t i = 0; i < pack.images.size();) {
    std::vector<std::byte> bytes;
    do {
      bytes.insert(bytes.end(), pack.images[i].jpeg.begin(), pack.images[i].jpeg.end());
      ++i;
    } while (i < pack.images.size() &&
             bytes.size() + pack.images[i].jpeg.size() + kHeaderBytes <= max_shard_bytes);
    TensorList list;
    list.add("jpeg", DType::u8, bytes);
    list.write(shard_path(folder, ++shard), {});
  }
  // Shards that an earlier, larger pack left here.
  do ++shard;
  while (std::filesystem::remove(shard_path(folder, shard)));
}

void read_images(const std::filesystem::path& folder, const PackFile& index, Pack& pack) {
  const auto validation = index.values<uint8_t>("image.validation", DType::u8);
  const auto label_set = index.values<int32_t>("image.label_set", DType::i32);
  const auto bytes = index.values<int64_t>("image.bytes", DType::i64);
  // Older packs have no patients.
  const auto patient = index.has("image.patient") ? index.values<int32_t>("image.patient", DType::i32)
                                                  : std::vector<int32_t>(bytes.size(), -1);
  index.expect(validation.size() == label_set.size() && bytes.size() == label_set.size() &&
                   patient.size() == label_set.size(),
               "the tensors 'image.*' have different lengths");
  std::vector<std::byte> shard;
  size_t at = 0;
  size_t number = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (at == shard.size()) {
      const auto path = shard_path(folder, ++number);
      shard = PackFile(path).values<std::byte>("jpeg", DType::u8);
      at = 0;
    }
    index.expect(bytes[i] > 0 && static_cast<uint64_t>(bytes[i]) <= shard.size() - at,
                 "image " + std::to_string(i) + " does not lie in shard " + std::to_string(number));
    index.expect(label_set[i] >= 0 && static_cast<size_t>(label_set[i]) < pack.label_sets.size(),
                 "image " + std::to_string(i) + " has an unknown label set");
    const auto begin = shard.begin() + static_cast<std::ptrdiff_t>(at);
    pack.images.push_back({validation[i] != 0, label_set[i], {begin, begin + bytes[i]}, patient[i]});
    at += static_cast<size_t>(bytes[i]);
  }
}

void read_concepts(const PackFile& index, Pack& pack) {
  const auto names = lines_of(index.text("concepts"));
  const auto field = index.values<int32_t>("concept.field", DType::i32);
  const auto weight = index.values<float>("concept.weight", DType::f32);
  const auto drawn = index.values<uint8_t>("concept.drawn_by", DType::u8);
  const auto distractor = index.values<uint8_t>("concept.distractor", DType::u8);
  const auto truth = index.values<uint8_t>("truth", DType::u8);
  index.expect(field.size() == names.size() && distractor.size() == names.size() &&
                   weight.size() == names.size() && truth.size() == names.size() * pack.label_sets.size() &&
                   drawn.size() == truth.size(),
               "the tensors of the concepts have different lengths");
  for (size_t c = 0; c < names.size(); ++c) {
    index.expect(field[c] >= -1 && field[c] < static_cast<int32_t>(pack.fields.size()),
                 "concept '" + names[c] + "' has an unknown field");
    pack.concepts.push_back({names[c], field[c], weight[c], {}, distractor[c] != 0});
    for (size_t l = 0; l < pack.label_sets.size(); ++l)
      if (drawn[l * names.size() + c] != 0) pack.concepts.back().drawn_by.push_back(static_cast<int32_t>(l));
  }
  for (const uint8_t value : truth) {
    index.expect(value <= static_cast<uint8_t>(Truth::unknown), "'truth' has a value beyond 2");
    pack.truth.push_back(static_cast<Truth>(value));
  }
}

void read_captions(const PackFile& index, Pack& pack) {
  const auto concepts = index.values<int32_t>("caption.concept", DType::i32);
  const auto lengths = index.values<int32_t>("caption.length", DType::i32);
  const auto ids = index.values<int32_t>("caption.ids", DType::i32);
  index.expect(concepts.size() == lengths.size(), "the tensors 'caption.*' have different lengths");
  size_t at = 0;
  for (size_t i = 0; i < concepts.size(); ++i) {
    index.expect(concepts[i] >= 0 && static_cast<size_t>(concepts[i]) < pack.concepts.size(),
                 "caption " + std::to_string(i) + " is of an unknown concept");
    index.expect(lengths[i] >= 2 && lengths[i] <= pack.model.text.context_length &&
                     static_cast<size_t>(lengths[i]) <= ids.size() - at,
                 "caption " + std::to_string(i) + " has a length that does not fit");
    const auto begin = ids.begin() + static_cast<std::ptrdiff_t>(at);
    pack.captions.push_back({concepts[i], {begin, begin + lengths[i]}});
    for (const int32_t id : pack.captions.back().ids)
      index.expect(id >= 0 && id < pack.vocabulary_size,
                   "caption " + std::to_string(i) + " has an id beyond the vocabulary");
    at += static_cast<size_t>(lengths[i]);
  }
}

}  // namespace

void write_pack(const Pack& pack, const std::filesystem::path& folder, uint64_t max_shard_bytes) {
  std::filesystem::create_directories(folder);
  std::filesystem::remove(folder / "pack.safetensors");  // the index comes last: without it there is no pack
  write_images(pack, folder, max_shard_bytes);

  std::vector<uint8_t> validation, truth, distractor, drawn_by(pack.label_sets.size() * pack.concepts.size());
  std::vector<int32_t> label_set, patient, field, caption_concept, caption_length, caption_ids;
  std::vector<int64_t> bytes;
  std::vector<float> weight;
  std::vector<std::string> concepts;
  for (const PackedImage& image : pack.images) {
    validation.push_back(image.validation ? 1 : 0);
    label_set.push_back(image.label_set);
    patient.push_back(image.patient);
    bytes.push_back(static_cast<int64_t>(image.jpeg.size()));
  }
  for (const Truth value : pack.truth) truth.push_back(static_cast<uint8_t>(value));
  for (size_t c = 0; c < pack.concepts.size(); ++c) {
    concepts.push_back(pack.concepts[c].name);
    field.push_back(pack.concepts[c].field);
    weight.push_back(pack.concepts[c].weight);
    distractor.push_back(pack.concepts[c].distractor ? 1 : 0);
    for (const int32_t l : pack.concepts[c].drawn_by)
      drawn_by[static_cast<size_t>(l) * pack.concepts.size() + c] = 1;
  }
  for (const Caption& caption : pack.captions) {
    caption_concept.push_back(caption.concept_id);
    caption_length.push_back(static_cast<int32_t>(caption.ids.size()));
    caption_ids.insert(caption_ids.end(), caption.ids.begin(), caption.ids.end());
  }

  TensorList list;
  list.add("image.validation", DType::u8, validation);
  list.add("image.label_set", DType::i32, label_set);
  list.add("image.patient", DType::i32, patient);
  list.add("image.bytes", DType::i64, bytes);
  list.add("truth", DType::u8, truth);
  list.add("concept.field", DType::i32, field);
  list.add("concept.weight", DType::f32, weight);
  list.add("concept.distractor", DType::u8, distractor);
  list.add("concept.drawn_by", DType::u8, drawn_by);
  list.add("caption.concept", DType::i32, caption_concept);
  list.add("caption.length", DType::i32, caption_length);
  list.add("caption.ids", DType::i32, caption_ids);
  Metadata metadata{{"fields", joined(pack.fields)},
                    {"label_sets", joined(pack.label_sets)},
                    {"concepts", joined(concepts)},
                    {"vocabulary_size", std::to_string(pack.vocabulary_size)}};
  describe_model(pack.model, metadata);
  list.write(folder / "pack.safetensors", metadata);
}

Pack read_pack(const std::filesystem::path& folder) {
  const PackFile index(folder / "pack.safetensors");
  Pack pack;
  pack.model = read_model(index);
  index.numbers("vocabulary_size", pack.vocabulary_size);
  pack.fields = lines_of(index.text("fields"));
  pack.label_sets = lines_of(index.text("label_sets"));
  read_concepts(index, pack);
  read_captions(index, pack);
  read_images(folder, index, pack);
  return pack;
}

}  // namespace mii
