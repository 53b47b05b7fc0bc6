#pragma once

#include <filesystem>

namespace mii {

/// The parts of a model folder in the published layout:
///   config.yaml
///   vision_model/medimageinsigt-v1.0.0.pt      (safetensors in spite of its name; else the only
///   *.safetensors or *.pt there) language_model/clip_tokenizer_4.16.2/      (else the only folder there with
///   vocab.json and merges.txt)
struct ModelFolder {
  std::filesystem::path config;
  std::filesystem::path weights;
  std::filesystem::path tokenizer;

  /// Throws Error{invalid_model} that names everything that is missing or ambiguous.
  static ModelFolder find(const std::filesystem::path& folder);

  /// The same of a folder that need have no weights; they are left out.
  static ModelFolder find_texts(const std::filesystem::path& folder);
};

}  // namespace mii
