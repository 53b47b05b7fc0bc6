#include <span>

#include "mii/error.h"
#include "onnx/graph_file.h"
#include "onnx/onnx_weights.h"

namespace {

// The model of tests/data/onnx, so that seeds come to the end.
constexpr const char* kConfig = R"(
IMAGE_ENCODER:
  IMAGE_SIZE: [36, 28]
  IMAGE_MEAN: [0.485, 0.456, 0.406]
  IMAGE_STD: [0.229, 0.224, 0.225]
  SPEC:
    PATCH_SIZE: [7, 3]
    PATCH_STRIDE: [4, 2]
    PATCH_PADDING: [3, 1]
    PATCH_PRENORM: [false, true]
    DIM_EMBED: [8, 12]
    NUM_HEADS: [2, 3]
    NUM_GROUPS: [2, 2]
    DEPTHS: [1, 1]
    WINDOW_SIZE: 4
LANG_ENCODER: {CONTEXT_LENGTH: 77, WIDTH: 8, HEADS: 2, LAYERS: 2, AUTOGRESSIVE: false}
UNICL_MODEL: {DIM_PROJECTION: 8}
)";
constexpr int64_t kVocabulary = 1514;

void read_all(mii::OnnxWeights& weights, const std::vector<mii::TensorSpec>& specs) {
  for (const mii::TensorSpec& spec : specs) {
    std::vector<float> values(static_cast<size_t>(mii::element_count(spec.shape)));
    try {
      weights.copy_as(mii::DType::f32, spec.name, reinterpret_cast<std::byte*>(values.data()));
    } catch (const mii::Error&) {  // seeds have no values
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const mii::ModelConfig config = mii::ModelConfig::parse(kConfig, "config.yaml");
  static const std::vector<mii::TensorSpec> specs = mii::tensor_specs(config, kVocabulary);
  try {
    std::vector<mii::GraphFile> files;
    files.push_back({"nowhere/f", mii::parse_graph(std::as_bytes(std::span(data, size)), "f")});
    mii::OnnxWeights weights(std::move(files),
                             {.config = config, .vocabulary_size = kVocabulary, .logit_scale = {}});
    read_all(weights, specs);
  } catch (const mii::Error&) {
  }
  return 0;
}
