// Maps by gradients against LibTorch's own.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "mii/engine.h"
#include "text/clip_tokenizer.h"
#include "tower_variants.h"
#include "train/state.h"
#include "train/towers.h"
#include "weights/model_folder.h"

namespace mii {
namespace {

using torch::Tensor;

const std::vector<std::string> kTexts{"an x-ray", "a brain", "skin"};

Image scene(size_t width, size_t height) {
  std::vector<uint8_t> pixels(width * height * 3);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>((i * 7 + i / 91 * 13) % 256);
  return Image::from_rgb(width, height, pixels);
}

// Gradient times value, summed over the channels: [tokens].
Tensor map_by_autograd(const Tensor& score, const Tensor& x) {
  const Tensor gradient = torch::autograd::grad({score}, {x}, {}, true)[0];
  return (gradient * x).sum(-1).flatten().detach();
}

// Both compute in float32 the sums of the same terms in another order.
void expect_the_maps_of_autograd(const std::filesystem::path& folder) {
  const ModelFolder files = ModelFolder::find(folder);
  const ModelConfig config = ModelConfig::read(files.config);
  const Parameters parameters =
      load_parameters(files.weights, config, ClipTokenizer::load(files.tokenizer).vocabulary_size());
  const Towers towers(config, parameters);
  const Engine engine = Engine::open(folder, {.precision = Precision::f32});
  const ImageTokens tokens = engine.encode_image_tokens(scene(150, 120), TokenStage::before_last);
  const Matrix directions = engine.encode_texts(kTexts);
  const TokenMaps maps = engine.gradient_maps(tokens, directions);

  Tensor cut_from = torch::empty({1, static_cast<int64_t>(tokens.rows), static_cast<int64_t>(tokens.cols),
                                  static_cast<int64_t>(tokens.tokens.cols())});
  std::ranges::copy(tokens.tokens.values(), cut_from.data_ptr<float>());
  if (config.image.stages.back().patch_prenorm) {
    const std::string norm =
        "image_encoder.convs." + std::to_string(config.image.stages.size() - 1) + ".norm";
    cut_from = torch::layer_norm(cut_from, {cut_from.size(3)}, parameters.at(norm + ".weight"),
                                 parameters.at(norm + ".bias"), 1e-5);
  }
  cut_from.requires_grad_();
  const Tensor vector = towers.encode_patches_of(cut_from)[0];
  for (size_t k = 0; k < directions.rows(); ++k) {
    Tensor direction = torch::empty({static_cast<int64_t>(directions.cols())});
    std::ranges::copy(directions.row(k), direction.data_ptr<float>());
    const Tensor score = torch::dot(vector, direction);
    const Tensor expected = map_by_autograd(score, cut_from);
    const auto largest = expected.abs().max().item<double>();
    ASSERT_GT(largest, 0);
    EXPECT_NEAR(maps.scores[k], score.item<double>(), 1e-5);
    double worst = 0;
    for (size_t i = 0; i < maps.maps.cols(); ++i)
      worst =
          std::max(worst, std::abs(maps.maps.row(k)[i] - expected[static_cast<int64_t>(i)].item<double>()));
    EXPECT_LE(worst, 1e-4 * largest) << k;
    testing::Test::RecordProperty("relative_error_" + std::to_string(k), std::to_string(worst / largest));
  }
}

class GradientMapsOf : public testing::TestWithParam<TowerVariant> {};

TEST_P(GradientMapsOf, AreThoseOfAutograd) {
  const ProceduralModel model(GetParam().model, GetParam().edits);
  expect_the_maps_of_autograd(model.folder());
}
INSTANTIATE_TEST_SUITE_P(Towers, GradientMapsOf, testing::ValuesIn(tower_variants()),
                         [](const auto& test) { return test.param.name; });

TEST(GradientMapsOfTheStarter, AreThoseOfAutograd) { expect_the_maps_of_autograd(MII_STARTER); }

}  // namespace
}  // namespace mii
