// The trainer against the engine, against itself after a stop, and on pictures that anyone can tell apart.
#include "train/trainer.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "image/encode_jpeg.h"
#include "mii/engine.h"
#include "mii/error.h"
#include "pack/captions.h"
#include "procedural_model.h"
#include "text/clip_tokenizer.h"
#include "train/augment.h"
#include "train/balance.h"
#include "train/batch_pass.h"
#include "train/data.h"
#include "train/state.h"
#include "train/towers.h"
#include "train/unicl.h"
#include "weights/model_folder.h"

namespace mii {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using torch::Tensor;

// Of two stages, for pictures of 32 pixels.
constexpr const char* kSmallConfig =
    "IMAGE_ENCODER:\n  IMAGE_SIZE: [32, 32]\n  IMAGE_MEAN: [0.485, 0.456, 0.406]\n  IMAGE_STD: [0.229, "
    "0.224, 0.225]\n"
    "  SPEC:\n    PATCH_SIZE: [7, 3]\n    PATCH_STRIDE: [4, 2]\n    PATCH_PADDING: [3, 1]\n    "
    "PATCH_PRENORM: [false, true]\n"
    "    DIM_EMBED: [16, 32]\n    NUM_HEADS: [1, 2]\n    NUM_GROUPS: [1, 2]\n    DEPTHS: [1, 1]\n    "
    "WINDOW_SIZE: 4\n"
    "LANG_ENCODER:\n  TOKENIZER: clip\n  CONTEXT_LENGTH: 77\n  WIDTH: 32\n  HEADS: 2\n  LAYERS: 1\n  "
    "AUTOGRESSIVE: false\n"
    "UNICL_MODEL:\n  DIM_PROJECTION: 16\nAUG:\n  INTERPOLATION: bicubic\nTEST:\n  CENTER_CROP: false\n";

// ---- towers

class TowersOf : public testing::TestWithParam<const char*> {};

// Both compute the same function; LibTorch's sums and ours differ in their order, over at most 4 * dim terms
// a layer: 1e-4 is asked of the product, two orders above what float32 rounding gives at these sizes.
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

// ---- sampling

TEST(DrawShares, BalanceFieldByField) {
  const std::vector<std::string> sets{"CT\tchest", "CT\thead", "MR\thead", "MR\t", "US\tliver"};
  // CT and MR, 100 images each, are drawn alike, however many values the next field has; so are MR's two. US
  // has none.
  const auto alike = draw_shares(sets, {90, 10, 1, 99, 0}, 0);
  EXPECT_THAT(alike, testing::Pointwise(testing::DoubleEq(), {0.25, 0.25, 0.25, 0.25, 0.0}));
  const auto as_they_are = draw_shares(sets, {90, 10, 1, 99, 0}, 1);
  EXPECT_THAT(as_they_are, testing::Pointwise(testing::DoubleEq(), {0.45, 0.05, 0.005, 0.495, 0.0}));
  const auto roots = draw_shares(sets, {64, 0, 9, 16, 0}, 0.5);
  EXPECT_THAT(roots, testing::Pointwise(testing::DoubleNear(1e-12),
                                        {8.0 / 13, 0.0, 5.0 / 13 * 3 / 7, 5.0 / 13 * 4 / 7, 0.0}));
}

TEST(View, GrowsToTheFullSize) {
  const View first = view_at(0.5, 128, 128), later = view_at(0.7, 128, 128), last = view_at(1, 128, 128);
  EXPECT_EQ(std::pair(first.width, first.height), std::pair(64, 64));
  EXPECT_EQ(std::pair(later.width, later.height), std::pair(96, 96));
  EXPECT_EQ(std::pair(last.width, last.height), std::pair(128, 128));
  EXPECT_FLOAT_EQ(later.strength, 0.7f);
  // Sides that are no multiple of the step, or shorter than it.
  EXPECT_EQ(view_at(1, 150, 20).width, 150);
  EXPECT_EQ(view_at(0.2, 150, 20).width, 32);
  EXPECT_EQ(view_at(0.2, 150, 20).height, 20);
}

// A pack of one training image, a disc; a validation image may be a cross. Both are words, and cross is
// listed as one that is not to attract images.
TEST(Data, WordsThatOnlyValidationImagesHaveAreWrongAnswersToo) {
  const CaptionRules rules{.fields = {"shape"},
                           .templates = {"{shape}"},
                           .synonyms = {},
                           .broader = {},
                           .distractors = {{"shape", {"cross"}}}};
  const Composition composition = compose(rules, {{"disc"}, {"cross"}}, 10);
  Pack pack;
  pack.model = ModelConfig::parse(kSmallConfig, "config.yaml");
  pack.fields = rules.fields;
  pack.truth = composition.truth;
  pack.label_sets = {"disc", "cross"};
  for (const ComposedConcept& c : composition.concepts) {
    pack.captions.push_back({static_cast<int32_t>(pack.concepts.size()), {1, 2, 3}});
    pack.concepts.push_back(c.about);
  }
  const std::vector<uint8_t> grey(32 * 32 * 3, 100);
  pack.images.push_back({false, 0, encode_jpeg(Image::from_rgb(32, 32, grey), 90)});
  pack.images.push_back({true, 1, encode_jpeg(Image::from_rgb(32, 32, grey), 90)});

  const Data data(pack, 4, 1, 1);
  ASSERT_EQ(data.labels().size(), 1u);
  EXPECT_EQ(pack.concepts[static_cast<size_t>(data.labels().front())].name, "disc");
  const Batch batch = data.batch(0, view_at(1, 32, 32));
  ASSERT_EQ(batch.captions, 5);  // of four images, and a distractor
  EXPECT_TRUE(torch::equal(batch.truth[0], torch::tensor({1, 1, 1, 1, 0, 1}, torch::kUInt8)));
  EXPECT_EQ(batch.field_texts, (std::vector<std::vector<int64_t>>{{4, 5}}));
}

// ---- objective

TEST(UniclLoss, IsTheCrossEntropyWithAllTruePairsAsTargets) {
  const Tensor logits = torch::tensor({{2.0f, 1.0f, 0.0f}, {0.0f, 3.0f, 1.0f}});
  // Text 0 is true of image 0; text 1 of both; text 2 of none: a distractor.
  const Tensor truth = torch::tensor({{1, 1, 0}, {0, 1, 0}}, torch::kUInt8);
  const auto log_sum = [](std::initializer_list<double> v) {
    double sum = 0;
    for (const double x : v) sum += std::exp(x);
    return std::log(sum);
  };
  const double images = ((log_sum({2, 1, 0}) - (2 + 1) / 2.0) + (log_sum({0, 3, 1}) - 3)) / 2;
  const double texts = ((log_sum({2, 0}) - 2) + (log_sum({1, 3}) - (1 + 3) / 2.0)) / 2;
  EXPECT_NEAR(unicl_loss(logits, truth).item<double>(), (images + texts) / 2, 1e-6);
}

TEST(Contrast, RowsWithoutATruePairTakeNoPart) {
  const Tensor truth = torch::tensor({{1, 0}, {0, 2}}, torch::kUInt8);
  const double loss = contrast(torch::tensor({{1.0f, 3.0f}, {9.0f, 4.0f}}), truth, 1).item<double>();
  EXPECT_NEAR(loss, std::log(std::exp(1.0) + std::exp(3.0)) - 1, 1e-6);
}

TEST(UniclLoss, PairsThatNobodyKnowsTakeNoPart) {
  const Tensor truth = torch::tensor({{1, 2}, {0, 1}}, torch::kUInt8);
  const double a = unicl_loss(torch::tensor({{1.0f, -5.0f}, {0.0f, 1.0f}}), truth).item<double>();
  const double b = unicl_loss(torch::tensor({{1.0f, 50.0f}, {0.0f, 1.0f}}), truth).item<double>();
  EXPECT_NEAR(a, b, 1e-6);
}

// ---- images

TEST(Augment, DependsOnItsKeysOnlyAndStaysInRange) {
  Picture picture{.width = 40, .height = 30, .channels = 3, .values = {}};
  for (int i = 0; i < 40 * 30 * 3; ++i) picture.values.push_back(static_cast<uint8_t>(i * 5));
  for (uint64_t key = 0; key < 200; ++key) {
    Random a{1, key}, b{1, key};
    const Planes x = augmented(picture, 32, 32, 1, a), y = augmented(picture, 32, 32, 1, b);
    ASSERT_EQ(x.values, y.values);
    for (const float v : x.values) ASSERT_TRUE(v >= 0 && v <= 1) << key;
  }
}

TEST(Augment, PlainResizeToTheSameSizeKeepsThePixels) {
  Picture picture{.width = 9, .height = 5, .channels = 1, .values = {}};
  for (int i = 0; i < 45; ++i) picture.values.push_back(static_cast<uint8_t>(i * 5));
  const Planes x = resized(picture, 9, 5);
  for (size_t i = 0; i < 45; ++i) ASSERT_NEAR(x.values[i] * 255, picture.values[i], 1e-3);
}

TEST(Augment, DamagedJpegIsRefused) {
  const std::vector<std::byte> bytes(100, std::byte{0xFF});
  EXPECT_THROW(decode_jpeg(bytes), Error);
}

// ---- runs

// Discs, squares and stripes, light on dark or dark on light, at random places: shapes with names.
Image shape(int kind, Random& random) {
  constexpr int kSize = 36;
  const float cx = random.uniform(12, 24), cy = random.uniform(12, 24), r = random.uniform(6, 10);
  std::vector<uint8_t> pixels;
  for (int y = 0; y < kSize; ++y) {
    for (int x = 0; x < kSize; ++x) {
      const float dx = static_cast<float>(x) - cx, dy = static_cast<float>(y) - cy;
      const bool inside = kind == 0   ? dx * dx + dy * dy < r * r
                          : kind == 1 ? std::abs(dx) < 1.5f || std::abs(dy) < 1.5f
                                      : (x / 4 + static_cast<int>(cx)) % 2 == 0;
      const int value = std::clamp(static_cast<int>((inside ? 200 : 40) + 15 * random.normal()), 0, 255);
      pixels.insert(pixels.end(), 3, static_cast<uint8_t>(value));
    }
  }
  return Image::from_rgb(kSize, kSize, pixels);
}

class TrainRun : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(folder_);
    fs::create_directories(folder_ / "pack" / "model" / "language_model");
    const Golden golden("tiny-a");
    fs::copy(golden.tokenizer(), folder_ / "pack" / "model" / "language_model" / "clip_tokenizer_4.16.2");
    std::ofstream(folder_ / "pack" / "model" / "config.yaml") << kSmallConfig;
    const CaptionRules rules{.fields = {"shape"},
                             .templates = {"{shape}", "a {shape}"},
                             .synonyms = {{"shape", {{"disc", {"circle"}}}}},
                             .broader = {},
                             .distractors = {{"shape", {"triangle"}}}};
    const std::vector<LabelSet> sets{{"disc"}, {"cross"}, {"stripes"}};
    const Composition composition = compose(rules, sets, 10);
    const ClipTokenizer tokenizer = ClipTokenizer::load(golden.tokenizer());
    Pack pack;
    pack.model = ModelConfig::parse(kSmallConfig, "config.yaml");
    pack.vocabulary_size = tokenizer.vocabulary_size();
    pack.fields = rules.fields;
    pack.truth = composition.truth;
    pack.label_sets = {"disc", "cross", "stripes"};
    for (const ComposedConcept& c : composition.concepts) {
      for (const std::string& caption : c.captions)
        pack.captions.push_back({static_cast<int32_t>(pack.concepts.size()), tokenizer.encode(caption, 77)});
      pack.concepts.push_back(c.about);
    }
    for (int i = 0; i < 360; ++i) {
      Random random{7, static_cast<uint64_t>(i)};
      pack.images.push_back({i >= 300, i % 3, encode_jpeg(shape(i % 3, random), 90)});
    }
    write_pack(pack, folder_ / "pack");
  }
  void TearDown() override { fs::remove_all(folder_); }

  TrainOptions options(const std::string& out) const {
    TrainOptions o;
    o.pack = folder_ / "pack";
    o.out = folder_ / out;
    o.epochs = 2;
    o.batch = 30;
    o.threads = 2;
    o.quiet = true;
    return o;
  }
  // Rows of a log without the last column, the speed.
  std::vector<std::vector<double>> rows(const std::string& out, const char* log, bool with_speed) const {
    std::ifstream file(folder_ / out / log);
    std::string line;
    std::getline(file, line);
    std::vector<std::vector<double>> table;
    while (std::getline(file, line)) {
      std::istringstream values(line);
      table.emplace_back();
      for (double v; values >> v;) table.back().push_back(v);
      if (with_speed) table.back().pop_back();
    }
    return table;
  }
  static bool never() { return false; }

  fs::path folder_ = fs::temp_directory_path() / ("mii-train-" + std::to_string(getpid()));
};

// With ten images of each of three shapes in a batch and all true pairs as targets, the least that the loss
// can be is what is left to choose among equals, about ln 10; chance is ln 34 for images and ln 30 for texts.
// Telling the three apart in all but the worst of the augmented views comes within 0.35 of the least.
TEST_F(TrainRun, ReachesTheLossThatTellingTheShapesApartGives) {
  TrainOptions o = options("run");
  o.epochs = 40;
  o.learning_rate = 3e-3;
  o.label_weight = 0;  // the captions' contrast alone
  ASSERT_TRUE(train(o, never));
  const auto log = rows("run", "train.tsv", true);
  ASSERT_EQ(log.size(), 400u);
  double loss = 0;
  for (size_t i = log.size() - 40; i < log.size(); ++i) loss += log[i][3] / 40;
  EXPECT_LT(loss, std::log(10.0) + 0.35);
  EXPECT_GT(log.front()[3], std::log(10.0) + 0.8);
  const auto validation = rows("run", "validation.tsv", false);
  EXPECT_GE(validation.back()[2], 0.9) << "zero-shot top-1";

  // What it wrote is a model that the engine loads, and tells the shapes apart with.
  const Engine engine = Engine::open(folder_ / "run" / "last", {.precision = Precision::f32});
  const std::vector<std::string> labels{"disc", "cross", "stripes"};
  int right = 0;
  for (int i = 0; i < 60; ++i) {
    Random random{9, static_cast<uint64_t>(i)};
    std::vector<Image> images;
    images.push_back(shape(i % 3, random));
    const Matrix scores = engine.classify(images, labels);
    right += std::ranges::max_element(scores.row(0)) - scores.row(0).begin() == i % 3 ? 1 : 0;
  }
  EXPECT_GE(right, 54);
}

class TrainRunLabels : public TrainRun {
 protected:
  // Of the right label among the three, on new pictures.
  double mean_log_likelihood(const std::string& out) const {
    const Engine engine = Engine::open(folder_ / out / "last", {.precision = Precision::f32});
    double sum = 0;
    for (int i = 0; i < 60; ++i) {
      Random random{11, static_cast<uint64_t>(i)};
      std::vector<Image> images;
      images.push_back(shape(i % 3, random));
      sum += std::log(engine.classify(images, std::vector<std::string>{"disc", "cross", "stripes"})
                          .row(0)[static_cast<size_t>(i % 3)]);
    }
    return sum / 60;
  }
};

// Of all temperatures the fitted one gives the right labels the highest likelihood on views as training draws
// them; on plain ones, which are easier, it is still better than the one that the captions' loss leaves. And
// so is learning to tell the labels apart.
TEST_F(TrainRunLabels, CalibrationAndTheirOwnContrastRaiseTheirLikelihood) {
  TrainOptions o = options("captions");
  o.epochs = 15;
  o.learning_rate = 3e-3;
  o.label_weight = 0;
  ASSERT_TRUE(train(o, never));
  const double captions = mean_log_likelihood("captions");
  o.resume = o.calibrate = true;
  ASSERT_TRUE(train(o, never));
  EXPECT_GT(mean_log_likelihood("captions"), captions);

  o.out = options("labels").out;
  o.resume = o.calibrate = false;
  o.label_weight = 1;
  ASSERT_TRUE(train(o, never));
  EXPECT_GT(mean_log_likelihood("labels"), captions);
}

TEST_F(TrainRun, EqualSeedsGiveEqualRuns) {
  ASSERT_TRUE(train(options("a"), never));
  ASSERT_TRUE(train(options("b"), never));
  EXPECT_EQ(rows("a", "train.tsv", true), rows("b", "train.tsv", true));
}

TEST_F(TrainRun, AStoppedRunGoesOnAsIfItHadNotStopped) {
  TrainOptions o = options("whole");
  o.start = 0.5;
  ASSERT_TRUE(train(o, never));
  o.out = options("parts").out;
  int steps = 0;
  ASSERT_FALSE(train(o, [&] { return ++steps == 7; }));
  o.resume = true;
  ASSERT_TRUE(train(o, never));
  EXPECT_EQ(rows("whole", "train.tsv", true), rows("parts", "train.tsv", true));
  EXPECT_EQ(rows("whole", "validation.tsv", false), rows("parts", "validation.tsv", false));
}

TEST_F(TrainRun, OnlyTheWeightsThatAreToLearnChange) {
  ASSERT_TRUE(train(options("first"), never));
  TrainOptions o = options("second");
  o.start_weights = folder_ / "first" / "last" / "vision_model" / "model.safetensors";
  o.trained = Trained::text_tower;
  ASSERT_TRUE(train(o, never));
  const ModelConfig config = ModelConfig::parse(kSmallConfig, "config.yaml");
  const int64_t vocabulary = read_pack(folder_ / "pack").vocabulary_size;
  const Parameters before = load_parameters(*o.start_weights, config, vocabulary);
  const Parameters after =
      load_parameters(folder_ / "second" / "last" / "vision_model" / "model.safetensors", config, vocabulary);
  for (const auto& [name, value] : before)
    EXPECT_EQ(torch::equal(value, after.at(name)), name.starts_with("image_encoder.")) << name;
}

TEST_F(TrainRun, ACheckpointOfAnotherRunIsRefused) {
  TrainOptions o = options("run");
  ASSERT_TRUE(train(o, never));
  EXPECT_THAT([&] { train(o, never); }, testing::ThrowsMessage<Error>(HasSubstr("--resume")));
  o.resume = true;
  o.learning_rate = 0.5;
  EXPECT_THAT([&] { train(o, never); }, testing::ThrowsMessage<Error>(HasSubstr("other options")));
}

}  // namespace
}  // namespace mii
