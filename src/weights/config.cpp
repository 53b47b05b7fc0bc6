#include "weights/config.h"

#include <yaml-cpp/yaml.h>

#include <cmath>
#include <optional>
#include <string>

#include "core/file.h"
#include "mii/error.h"
#include "weights/report_model.h"

namespace mii {
namespace {

constexpr uint64_t kMaxConfigBytes = 1 << 20;

// A place in the file: its node and its name, for messages.
class Section {
 public:
  Section(const YAML::Node& node, std::string name, std::string_view file)
      : node_(node), name_(std::move(name)), file_(file) {}

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorCode::invalid_model, std::string(file_) + ": " + name_ + " " + what);
  }

  bool has(const char* key) const { return node_.IsMap() && node_[key].IsDefined() && !node_[key].IsNull(); }

  Section at(const char* key) const {
    const std::string name = name_.empty() ? key : name_ + "." + key;
    if (!has(key)) Section({}, name, file_).fail("is missing");
    return {node_[key], name, file_};
  }

  Section item(size_t i) const { return {node_[i], name_ + "[" + std::to_string(i) + "]", file_}; }

  size_t list_size() const {
    if (!node_.IsSequence()) fail("is not a list");
    return node_.size();
  }

  void expect_list_of(size_t n) const {
    if (list_size() != n)
      fail("has " + std::to_string(list_size()) + " entries, expected " + std::to_string(n));
  }

  int64_t integer(int64_t least, int64_t most) const {
    const auto value = as<int64_t>("a whole number");
    if (value < least || value > most)
      fail("is " + std::to_string(value) + ", expected " + std::to_string(least) + " to " +
           std::to_string(most));
    return value;
  }

  float number() const {
    const auto value = as<float>("a number");
    if (!std::isfinite(value)) fail("is not finite");
    return value;
  }

  bool boolean() const { return as<bool>("true or false"); }
  std::string text() const { return as<std::string>("a text"); }

 private:
  template <typename T>
  T as(const char* expected) const {
    try {
      if (!node_.IsScalar()) fail(std::string("is not ") + expected);
      return node_.as<T>();
    } catch (const YAML::Exception&) {
      fail("is '" + node_.Scalar().substr(0, 40) + "', expected " + expected);
    }
  }

  YAML::Node node_;
  std::string name_;
  std::string_view file_;
};

constexpr int64_t kMaxSide = 8192;  // as kMaxDim

StageConfig read_stage(const Section& spec, size_t s) {
  StageConfig stage;
  stage.dim = spec.at("DIM_EMBED").item(s).integer(1, kMaxDim);
  stage.depth = spec.at("DEPTHS").item(s).integer(0, kMaxLayers);
  stage.heads = spec.at("NUM_HEADS").item(s).integer(1, kMaxDim);
  stage.groups = spec.at("NUM_GROUPS").item(s).integer(1, kMaxDim);
  stage.patch_size = spec.at("PATCH_SIZE").item(s).integer(1, 64);
  stage.patch_stride = spec.at("PATCH_STRIDE").item(s).integer(1, 64);
  stage.patch_padding = spec.at("PATCH_PADDING").item(s).integer(0, stage.patch_size - 1);
  stage.patch_prenorm = spec.at("PATCH_PRENORM").item(s).boolean();
  const std::string dim = std::to_string(stage.dim);
  if (stage.dim % stage.heads != 0) spec.at("NUM_HEADS").item(s).fail("does not divide DIM_EMBED " + dim);
  if (stage.dim % stage.groups != 0) spec.at("NUM_GROUPS").item(s).fail("does not divide DIM_EMBED " + dim);
  return stage;
}

std::array<float, 3> read_three(const Section& section) {
  section.expect_list_of(3);
  return {section.item(0).number(), section.item(1).number(), section.item(2).number()};
}

bool flag(const Section& section, const char* key, bool otherwise) {
  return section.has(key) ? section.at(key).boolean() : otherwise;
}

ImageTowerConfig read_image_tower(const Section& encoder) {
  ImageTowerConfig image;
  const Section size = encoder.at("IMAGE_SIZE");
  size.expect_list_of(2);
  image.width = size.item(0).integer(1, kMaxSide);
  image.height = size.item(1).integer(1, kMaxSide);
  image.mean = read_three(encoder.at("IMAGE_MEAN"));
  image.std = read_three(encoder.at("IMAGE_STD"));
  for (size_t c = 0; c < 3; ++c)
    if (image.std[c] <= 0) encoder.at("IMAGE_STD").item(c).fail("is not positive");

  const Section spec = encoder.at("SPEC");
  const size_t stages = spec.at("DIM_EMBED").list_size();
  if (stages < 1 || stages > 8)
    spec.at("DIM_EMBED").fail("has " + std::to_string(stages) + " entries, expected 1 to 8");
  for (const char* key :
       {"DEPTHS", "NUM_HEADS", "NUM_GROUPS", "PATCH_SIZE", "PATCH_STRIDE", "PATCH_PADDING", "PATCH_PRENORM"})
    spec.at(key).expect_list_of(stages);
  for (size_t s = 0; s < stages; ++s) image.stages.push_back(read_stage(spec, s));
  if (spec.has("WINDOW_SIZE")) image.window_size = spec.at("WINDOW_SIZE").integer(1, 64);
  image.conv_at_attn = flag(spec, "CONV_AT_ATTN", true);
  image.conv_at_ffn = flag(spec, "CONV_AT_FFN", true);
  image.dynamic_scale = flag(spec, "DYNAMIC_SCALE", true);
  if (!flag(spec, "STANDPARAM", true)) spec.at("STANDPARAM").fail("is false, which is not supported");
  for (const Grid& grid : stage_grids(image))
    if (grid.height < 1 || grid.width < 1) size.fail("is too small for the patches of all stages");
  return image;
}

TextTowerConfig read_text_tower(const Section& encoder) {
  TextTowerConfig text;
  text.context_length = encoder.at("CONTEXT_LENGTH").integer(2, 4096);
  text.width = encoder.at("WIDTH").integer(1, kMaxDim);
  text.heads = encoder.at("HEADS").integer(1, kMaxDim);
  text.layers = encoder.at("LAYERS").integer(0, kMaxLayers);
  text.causal = flag(encoder, "AUTOGRESSIVE", true);  // its publisher's spelling
  if (text.width % text.heads != 0)
    encoder.at("HEADS").fail("does not divide WIDTH " + std::to_string(text.width));
  if (encoder.has("TOKENIZER") && encoder.at("TOKENIZER").text() != "clip")
    encoder.at("TOKENIZER")
        .fail("is '" + encoder.at("TOKENIZER").text().substr(0, 40) + "', only 'clip' is supported");
  return text;
}

void refuse_other_preprocessing(const Section& root) {
  if (root.has("AUG") && root.at("AUG").has("INTERPOLATION")) {
    const Section interpolation = root.at("AUG").at("INTERPOLATION");
    if (interpolation.text() != "bicubic")
      interpolation.fail("is '" + interpolation.text().substr(0, 40) + "', only 'bicubic' is supported");
  }
  if (root.has("TEST") && flag(root.at("TEST"), "CENTER_CROP", false))
    root.at("TEST").at("CENTER_CROP").fail("is true, which is not supported");
}

// Calls read with the root of the file.
template <typename Read>
auto parse_yaml(std::string_view yaml, std::string_view file_name, const Read& read) {
  try {
    return read(Section(YAML::Load(std::string(yaml)), "", file_name));
  } catch (const YAML::Exception& e) {
    throw Error(ErrorCode::invalid_model, std::string(file_name) + ": is no valid YAML: " + e.what());
  }
}

}  // namespace

ModelConfig ModelConfig::parse(std::string_view yaml, std::string_view file_name) {
  return parse_yaml(yaml, file_name, [](const Section& root) {
    refuse_other_preprocessing(root);
    ModelConfig config;
    config.image = read_image_tower(root.at("IMAGE_ENCODER"));
    config.text = read_text_tower(root.at("LANG_ENCODER"));
    config.embedding_dim = root.at("UNICL_MODEL").at("DIM_PROJECTION").integer(1, kMaxDim);
    return config;
  });
}

ModelConfig ModelConfig::read(const std::filesystem::path& path) {
  return parse(read_text_file(path, kMaxConfigBytes), path.string());
}

ReportDecoderConfig ReportDecoderConfig::parse(std::string_view yaml, std::string_view file_name) {
  return parse_yaml(yaml, file_name, [](const Section& root) {
    const Section decoder = root.at("REPORT_DECODER");
    ReportDecoderConfig config;
    for (const ReportDecoderNumber& number : report_decoder_numbers())
      config.*number.member = decoder.at(number.key).integer(number.least, number.most);
    if (decoder.has("LEAST_SUPPORT")) config.least_support = decoder.at("LEAST_SUPPORT").number();
    if (config.width % config.heads != 0)
      decoder.at("HEADS").fail("does not divide WIDTH " + std::to_string(config.width));
    return config;
  });
}

ReportDecoderConfig ReportDecoderConfig::read(const std::filesystem::path& path) {
  return parse(read_text_file(path, kMaxConfigBytes), path.string());
}

std::vector<Grid> stage_grids(const ImageTowerConfig& config) {
  std::vector<Grid> grids;
  Grid grid{config.height, config.width};
  for (const StageConfig& stage : config.stages) {
    const auto after = [&](int64_t side) {
      const int64_t room = side + 2 * stage.patch_padding - stage.patch_size;
      return side < 1 || room < 0 ? 0 : room / stage.patch_stride + 1;
    };
    grid = {after(grid.height), after(grid.width)};
    grids.push_back(grid);
  }
  return grids;
}

}  // namespace mii
