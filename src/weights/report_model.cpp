#include "weights/report_model.h"

#include "core/number_text.h"
#include "mii/error.h"

namespace mii {

namespace fs = std::filesystem;

namespace {

using Config = ReportDecoderConfig;
constexpr ReportDecoderNumber kNumbers[] = {
    {"CONTEXT_LENGTH", &Config::context_length, 4, Config::kLongestContext,
     "tokens of prompt and report together"},
    {"WIDTH", &Config::width, 1, kMaxDim, "channels"},
    {"HEADS", &Config::heads, 1, kMaxDim, "of each attention"},
    {"LAYERS", &Config::layers, 0, kMaxLayers, "blocks"},
    {"IMAGE_DIM", &Config::image_dim, 1, kMaxDim, "channels of the image tower's last stage"},
    {"VOCABULARY", &Config::vocabulary, 1, int64_t{1} << 24, "ids of the model's tokenizer"}};

}  // namespace

std::span<const ReportDecoderNumber> report_decoder_numbers() { return kNumbers; }

ReportModelFolder ReportModelFolder::in(const fs::path& folder) {
  return {folder / "config.yaml", folder / "decoder.safetensors"};
}

ReportModelFolder ReportModelFolder::find(const fs::path& folder) {
  ReportModelFolder found = in(folder);
  for (const fs::path& file : {found.config, found.weights}) {
    std::error_code none;
    if (!fs::is_regular_file(file, none))
      throw Error(ErrorCode::invalid_model,
                  folder.string() + ": no report decoder, " + file.filename().string() + " is not there");
  }
  return found;
}

std::string to_yaml(const ReportDecoderConfig& config) {
  const auto line = [](const char* key, const std::string& value, const char* comment) {
    return std::string("  ") + key + ": " + value + "  # " + comment + "\n";
  };
  std::string text = "REPORT_DECODER:\n";
  for (const ReportDecoderNumber& number : kNumbers)
    text += line(number.key, std::to_string(config.*number.member), number.meaning);
  if (config.least_support)
    text += line("LEAST_SUPPORT", number_text(*config.least_support),
                 "cosine of a sentence and its image, below which it has no support");
  return text;
}

void expect_fit(const ReportDecoderConfig& decoder, int64_t image_dim, int64_t vocabulary_size) {
  const auto expect = [](const char* what, int64_t of_decoder, const char* whose, int64_t of_model) {
    if (of_decoder != of_model)
      throw Error(ErrorCode::invalid_model,
                  "the report decoder does not fit the model: " + std::string(what) + " " +
                      std::to_string(of_decoder) + ", but " + whose + " " + std::to_string(of_model));
  };
  expect("it attends to image tokens of width", decoder.image_dim, "the image tower's have", image_dim);
  expect("it writes with a vocabulary of", decoder.vocabulary, "the tokenizer has", vocabulary_size);
}

}  // namespace mii
