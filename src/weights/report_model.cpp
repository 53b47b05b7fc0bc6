#include "weights/report_model.h"

#include "core/number_text.h"
#include "mii/error.h"

namespace mii {

namespace fs = std::filesystem;

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
  text +=
      line("CONTEXT_LENGTH", std::to_string(config.context_length), "tokens of prompt and report together");
  text += line("WIDTH", std::to_string(config.width), "channels");
  text += line("HEADS", std::to_string(config.heads), "of each attention");
  text += line("LAYERS", std::to_string(config.layers), "blocks");
  text += line("IMAGE_DIM", std::to_string(config.image_dim), "channels of the image tower's last stage");
  text += line("VOCABULARY", std::to_string(config.vocabulary), "ids of the model's tokenizer");
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
