#include "model/weight_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "backend/cuda/cuda_backend.h"
#include "changed_model.h"
#include "mii/error.h"
#include "procedural_model.h"

namespace mii {
namespace {

namespace fs = std::filesystem;

// A patch convolution is put in another order before it is rounded; 1e6 is beyond the largest f16.
TEST(WeightReader, AWeightThatIsTooLargeIsCalledByItsName) {
  const ProceduralModel model("tiny-a");
  const fs::path folder = fs::temp_directory_path() / ("mii-large-weight-" + std::to_string(getpid()));
  const std::string name = "image_encoder.convs.1.proj";
  copy_changed_model(model.folder(), folder, [&](const TensorSpec& spec, std::span<float> values) {
    if (spec.name == name + ".weight") values[3] = 1e6f;
  });
  const ModelFolder parts = ModelFolder::find(folder);
  const Checkpoint checkpoint = Checkpoint::open(parts.weights, ModelConfig::read(parts.config),
                                                 ClipTokenizer::load(parts.tokenizer).vocabulary_size());
  const auto backend = cuda::device_backend().make({.precision = Precision::f16});
  try {
    WeightReader(checkpoint, *backend).patch_conv(name, 2, 1);
    ADD_FAILURE() << "accepted";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::corrupt_weights);
    EXPECT_THAT(e.what(), testing::HasSubstr(name + ".weight"));
  }
  fs::remove_all(folder);
}

}  // namespace
}  // namespace mii
