// Compares the towers with the engine, their parts with LibTorch's, and slices with the whole.
#include "train/towers.h"

#include <gmock/gmock.h>

#include <cmath>

#include "mii/engine.h"
#include "procedural_model.h"
#include "small_model.h"
#include "text/clip_tokenizer.h"
#include "train/batch_pass.h"
#include "train/state.h"
#include "weights/model_folder.h"

namespace mii {
namespace {

using torch::Tensor;

class TowersOf : public testing::TestWithParam<const char*> {};

// Both compute the same function; LibTorch's sums and ours differ in their order, over at most 4 * dim terms
// a layer. The bound of 1e-4 is two orders of magnitude above what float32 rounding gives at these sizes.
TEST_P(TowersOf, TrainingAgreeWithTheEngine) {
  const ProceduralModel model(GetParam());
  const Golden golden(GetParam());
  const ModelConfig config = ModelConfig::read(model.folder() / "config.yaml");
  const ClipTokenizer tokenizer = ClipTokenizer::load(golden.tokenizer());
  const Parameters parameters =
      load_parameters(ModelFolder::find(model.folder()).weights, config, tokenizer.vocabulary_size());
  const Towers towers(config, parameters);
  const Engine engine = Engine::open(model.folder(), {.precision = Precision::f32});
  torch::NoGradGuard no_gradient;

  const auto width = static_cast<size_t>(config.image.width),
             height = static_cast<size_t>(config.image.height);
  std::vector<uint8_t> pixels(width * height * 3);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>((i * 7 + i / 91 * 13) % 256);
  Tensor input = torch::empty({1, 3, config.image.height, config.image.width});
  for (size_t c = 0; c < 3; ++c)
    for (size_t i = 0; i < width * height; ++i)
      input.data_ptr<float>()[c * width * height + i] =
          (pixels[3 * i + c] / 255.0f - config.image.mean[c]) / config.image.std[c];
  const std::vector<Image> images = [&] {
    std::vector<Image> list;
    list.push_back(Image::from_rgb(width, height, pixels));
    return list;
  }();
  const Matrix expected = engine.encode_images(images);
  const Tensor actual = towers.encode_images(input);
  for (size_t i = 0; i < expected.cols(); ++i)
    ASSERT_NEAR(actual[0][static_cast<int64_t>(i)].item<float>(), expected.row(0)[i], 1e-4) << i;

  const std::vector<std::string> texts{"x-ray", "a computed tomography image of the chest"};
  TextBatch batch{torch::zeros({2, 20}, torch::kInt64), torch::zeros({2}, torch::kInt64)};
  for (int64_t t = 0; t < 2; ++t) {
    const auto ids =
        tokenizer.encode(texts[static_cast<size_t>(t)], static_cast<size_t>(config.text.context_length));
    for (size_t i = 0; i < ids.size(); ++i) batch.ids[t][static_cast<int64_t>(i)] = ids[i];
    batch.lengths[t] = static_cast<int64_t>(ids.size());
  }
  const Matrix expected_texts = engine.encode_texts(texts);
  const Tensor actual_texts = towers.encode_texts(batch);
  for (size_t t = 0; t < 2; ++t)
    for (size_t i = 0; i < expected_texts.cols(); ++i)
      ASSERT_NEAR(actual_texts[static_cast<int64_t>(t)][static_cast<int64_t>(i)].item<float>(),
                  expected_texts.row(t)[i], 1e-4);
}
INSTANTIATE_TEST_SUITE_P(Tiny, TowersOf, testing::Values("tiny-a", "tiny-b"));

TEST(DepthwiseConv, HasTheValuesAndGradientsOfLibTorchs) {
  torch::manual_seed(1);
  const auto inputs = [] {
    return std::vector<Tensor>{torch::randn({3, 5, 7, 12}).requires_grad_(),
                               torch::randn({12, 1, 3, 3}).requires_grad_(),
                               torch::randn({12}).requires_grad_()};
  };
  auto ours = inputs();
  std::vector<Tensor> theirs;
  for (const Tensor& t : ours) theirs.push_back(t.detach().clone().requires_grad_());
  const Tensor y = add_depthwise_conv(ours[0], ours[1], ours[2]);
  const Tensor z =
      theirs[0] +
      torch::conv2d(theirs[0].permute({0, 3, 1, 2}), theirs[1], theirs[2], 1, 1, 1, 12).permute({0, 2, 3, 1});
  EXPECT_TRUE(torch::allclose(y, z, 1e-5, 1e-5));
  const Tensor weights = torch::randn_like(y);
  (y * weights).sum().backward();
  (z * weights).sum().backward();
  for (size_t i = 0; i < 3; ++i)
    EXPECT_TRUE(torch::allclose(ours[i].grad(), theirs[i].grad(), 1e-4, 1e-4)) << i;
}

// Slices add the same numbers in another order.
TEST(BatchPass, HasTheRowsAndGradientsOfAPassInOnePiece) {
  torch::manual_seed(1);
  const ModelConfig config = ModelConfig::parse(kSmallConfig, "config.yaml");
  Parameters sliced = initial_parameters(config, 50), whole;
  for (auto& [name, value] : sliced) whole.emplace(name, value.clone().set_requires_grad(true));
  for (auto& [name, value] : sliced) value.set_requires_grad(true);
  const Tensor pixels = torch::randn({37, 3, 32, 32}), weights = torch::randn({37, 55});
  Random random{1};
  const Tensor factors = drop_path_factors(config, 37, 0.3, random);
  TextBatch texts{torch::randint(1, 50, {55, 9}, torch::kInt64), torch::randint(2, 10, {55}, torch::kInt64)};

  const Towers towers(config, whole);
  const Tensor images = towers.encode_images(pixels, factors), captions = towers.encode_texts(texts);
  (torch::matmul(images, captions.t()) * weights).sum().backward();
  for (const int threads : {1, 3}) {
    for (auto& [name, value] : sliced) value.mutable_grad() = Tensor();
    BatchPass pass(config, sliced, threads);
    pass.forward(pixels, factors, texts);
    EXPECT_TRUE(torch::allclose(pass.images(), images, 1e-4, 1e-5));
    EXPECT_TRUE(torch::allclose(pass.texts(), captions, 1e-4, 1e-5));
    (torch::matmul(pass.images(), pass.texts().t()) * weights).sum().backward();
    pass.backward();
    for (const auto& [name, value] : sliced) {
      ASSERT_EQ(value.grad().defined(), whole.at(name).grad().defined()) << name;
      if (!value.grad().defined()) continue;
      const double scale = whole.at(name).grad().abs().max().item<double>();
      EXPECT_LT((value.grad() - whole.at(name).grad()).abs().max().item<double>(), 1e-4 * scale + 1e-6)
          << name;
    }
  }
}

TEST(InitialParameters, LinearLayersKeepTheSizeOfTheirInputs) {
  torch::manual_seed(1);
  int layers = 0;
  for (const auto& [name, value] : initial_parameters(ModelConfig::parse(kSmallConfig, "config.yaml"), 50)) {
    if (value.dim() != 2 || name.find("embedding") != std::string::npos) continue;
    const double inputs = static_cast<double>(value.size(name.ends_with("_projection") ? 0 : 1));
    // A normal distribution cut at two deviations keeps 0.959 of its own; five deviations of the estimate.
    EXPECT_NEAR(value.std().item<double>() * std::sqrt(inputs), 0.959,
                5 / std::sqrt(2 * static_cast<double>(value.numel())))
        << name;
    ++layers;
  }
  EXPECT_GT(layers, 10);
}

TEST(DropPath, KeepsTheMeanAndDropsMoreWithDepth) {
  const ModelConfig config = ModelConfig::parse(kSmallConfig, "config.yaml");
  Random random{3};
  const Tensor factors = drop_path_factors(config, 20000, 0.4, random);  // 4 blocks of 2 branches
  ASSERT_EQ(factors.size(0), 8);
  for (int64_t branch = 0; branch < 8; ++branch) {
    const double rate = 0.4 * static_cast<double>(branch / 2) / 3;
    // Five standard deviations of a mean of 20000.
    EXPECT_NEAR((factors[branch] == 0).to(torch::kFloat32).mean().item<double>(), rate,
                5 * std::sqrt(rate * (1 - rate) / 20000));
    EXPECT_NEAR(factors[branch].mean().item<double>(), 1, 5 * std::sqrt(rate / (1 - rate) / 20000) + 1e-5);
  }
}

}  // namespace
}  // namespace mii
