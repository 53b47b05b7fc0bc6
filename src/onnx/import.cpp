#include "onnx/import.h"

#include "mii/error.h"
#include "onnx/onnx_weights.h"

namespace mii {

std::vector<std::string> import_onnx(const OnnxImport& import, const std::filesystem::path& out_folder) {
  std::error_code none;
  if (std::filesystem::equivalent(import.texts.config.parent_path(), out_folder, none))
    throw Error(ErrorCode::invalid_argument,
                out_folder.string() + ": is where the configuration is; the model needs a folder of its own");
  const ModelConfig config = ModelConfig::read(import.texts.config);
  OnnxWeights weights = OnnxWeights::open(
      import.graphs,
      {.config = config, .vocabulary_size = import.vocabulary_size, .logit_scale = import.logit_scale});
  const ModelFolder out = copy_model_texts(import.texts.config, import.texts.tokenizer, out_folder);
  write_weights(
      tensor_specs(config, import.vocabulary_size), import.format,
      [&](DType dtype, const std::string& name, std::byte* to) { weights.copy_as(dtype, name, to); },
      out.weights);
  return weights.notes();
}

}  // namespace mii
