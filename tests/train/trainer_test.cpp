// Whole runs, on images that are easy to tell apart.
#include "train/trainer.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "image/encode_jpeg.h"
#include "mii/engine.h"
#include "mii/error.h"
#include "dataset/captions.h"
#include "procedural_model.h"
#include "small_model.h"
#include "text/clip_tokenizer.h"
#include "train/data.h"
#include "train/random.h"
#include "train/state.h"
#include "train/towers.h"
#include "weights/model_folder.h"

namespace mii {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

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

// With ten images of each of three shapes in a batch and all true pairs as targets, the least possible loss
// comes from the choice among equals, about ln 10; chance is ln 34 for images and ln 30 for texts. A model
// that tells the three apart in all but the worst of the augmented views comes within 0.35 of the least.
TEST_F(TrainRun, ReachesTheLossThatTellingTheShapesApartGives) {
  TrainOptions o = options("run");
  o.epochs = 40;
  o.learning_rate = 1e-3;
  o.label_weight = o.class_weight = 0;  // the captions' contrast alone
  ASSERT_TRUE(train(o, never));
  const auto log = rows("run", "train.tsv", true);
  ASSERT_EQ(log.size(), 400u);
  double loss = 0;
  for (size_t i = log.size() - 40; i < log.size(); ++i) loss += log[i][3] / 40;
  EXPECT_LT(loss, std::log(10.0) + 0.35);
  EXPECT_GT(log.front()[3], std::log(10.0) + 0.8);
  const auto validation = rows("run", "validation.tsv", false);
  EXPECT_GE(validation.back()[2], 0.9) << "zero-shot top-1";

  // It wrote a model that the engine loads, and that tells the shapes apart.
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

// The fitted temperature gives the right labels the highest likelihood on views as training draws them; it is
// searched in steps of 0.02.
TEST_F(TrainRun, CalibrationFindsTheLikeliestTemperature) {
  TrainOptions o = options("captions");
  o.epochs = 15;
  o.learning_rate = 3e-3;
  o.label_weight = o.class_weight = 0;
  ASSERT_TRUE(train(o, never));
  o.resume = o.calibrate = true;
  ASSERT_TRUE(train(o, never));
  const torch::NoGradGuard no_gradient;
  const Pack pack = read_pack(o.pack);
  const Data data(pack, o.batch, o.balance, o.seed);
  const Parameters weights =
      load_parameters(ModelFolder::find(o.out / "last").weights, pack.model, pack.vocabulary_size);
  const Towers towers(pack.model, weights);
  std::vector<const std::vector<int32_t>*> names;
  for (const int32_t label : data.labels())
    names.push_back(data.captions(static_cast<size_t>(label)).front());
  const torch::Tensor texts = towers.encode_texts(to_text_batch(names));
  const int64_t last_step = o.epochs * data.training_images() / o.batch;
  std::vector<torch::Tensor> cosines, truths;
  for (int64_t b = 0; b < 16; ++b) {
    const Batch batch = data.batch(last_step + b, view_at({.width = 32, .height = 32}, 1));
    cosines.push_back(torch::matmul(towers.encode_images(batch.pixels), texts.t()));
    truths.push_back(batch.label_truth == 1);
  }
  const auto likelihood = [&](double log_scale) {
    return torch::log_softmax(torch::cat(cosines) * std::exp(log_scale), 1)
        .masked_select(torch::cat(truths))
        .mean()
        .item<double>();
  };
  const double fitted = weights.at("logit_scale").item<double>();
  EXPECT_GT(likelihood(fitted), likelihood(fitted - 0.05));
  EXPECT_GT(likelihood(fitted), likelihood(fitted + 0.05));
}

// With equal weights and an equal batch, the losses of the first step differ by the weighted term. Fresh
// towers know nothing: the contrast of the labels is near that of seven labels (three, and four times the
// distractor), of which one is right; that of their free vectors is among three.
TEST_F(TrainRun, LabelsContrastIsAddedAsOftenAsItWeighs) {
  const auto first_loss = [&](double label_weight, double class_weight) {
    const std::string name = std::to_string(label_weight) + "-" + std::to_string(class_weight);
    TrainOptions o = options(name);
    o.label_weight = label_weight;
    o.class_weight = class_weight;
    EXPECT_FALSE(train(o, [] { return true; }));
    return rows(name, "train.tsv", true).front()[3];
  };
  const double none = first_loss(0, 0), texts = first_loss(1, 0) - none, vectors = first_loss(0, 1) - none;
  EXPECT_NEAR(first_loss(2, 3), none + 2 * texts + 3 * vectors, 1e-4);
  EXPECT_GT(texts, std::log(7.0) / 2);
  EXPECT_LT(texts, std::log(7.0) * 4);
  EXPECT_GT(vectors, std::log(3.0) / 2);
  EXPECT_LT(vectors, std::log(3.0) * 4);
}

// They begin at its texts' vectors, and so already tell apart what the model can tell apart.
TEST_F(TrainRun, FreeVectorsOfAModelThatIsTunedKnowWhatItsTextsSay) {
  TrainOptions o = options("model");
  o.epochs = 60;
  o.learning_rate = 3e-3;
  ASSERT_TRUE(train(o, never));
  double losses[2];
  for (const int weight : {0, 1}) {
    TrainOptions tuned = options("tuned" + std::to_string(weight));
    tuned.start_weights = o.out / "last" / "vision_model" / "model.safetensors";
    tuned.class_weight = weight;
    ASSERT_FALSE(train(tuned, [] { return true; }));
    losses[weight] = rows("tuned" + std::to_string(weight), "train.tsv", true).front()[3];
  }
  EXPECT_LT(losses[1] - losses[0], std::log(3.0) / 2);
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

// Means of top-1 less those of the start, and their intervals: of last/, then of best/.
std::vector<std::array<double, 3>> comparison(const fs::path& run) {
  std::ifstream file(run / "comparison.tsv");
  std::string line, name;
  std::getline(file, line);
  std::vector<std::array<double, 3>> rows;
  while (std::getline(file, line)) {
    std::istringstream values(line);
    double mean, start;
    rows.emplace_back();
    values >> name >> mean >> start >> rows.back()[0] >> rows.back()[1] >> rows.back()[2];
    EXPECT_NEAR(rows.back()[0], mean - start, 1e-4);
  }
  return rows;
}

TEST_F(TrainRun, AFineTuneIsHeldAgainstTheModelThatItBeganWith) {
  TrainOptions weak = options("weak");
  weak.epochs = 1;
  ASSERT_TRUE(train(weak, never));
  EXPECT_FALSE(fs::exists(weak.out / "comparison.tsv")) << "it began with nothing";

  TrainOptions good = options("good");
  good.start_weights = weak.out / "last" / "vision_model" / "model.safetensors";
  good.epochs = 60;
  good.learning_rate = 3e-3;
  good.quiet = false;
  testing::internal::CaptureStderr();
  ASSERT_TRUE(train(good, never));
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("last/ is better than the model"));
  const auto won = comparison(good.out);
  ASSERT_EQ(won.size(), 2u);
  EXPECT_GT(won[0][1], 0);
  EXPECT_GT(won[1][1], 0);
  EXPECT_EQ(rows("good", "validation.tsv", false).front()[0], 0) << "validated before the first step";

  TrainOptions bad = options("bad");
  bad.start_weights = good.out / "last" / "vision_model" / "model.safetensors";
  bad.learning_rate = 0.1;
  bad.average_decay = 0;
  testing::internal::CaptureStderr();
  ASSERT_TRUE(train(bad, never));
  const std::string told = testing::internal::GetCapturedStderr();
  EXPECT_THAT(told, HasSubstr("last/ IS WORSE THAN the model that training began with"));
  EXPECT_THAT(told, HasSubstr("best/ is the model that training began with"));
  const auto lost = comparison(bad.out);
  ASSERT_EQ(lost.size(), 2u);
  EXPECT_LT(lost[0][2], 0);
  EXPECT_THAT(lost[1], testing::Each(0.0));
  const auto epochs = rows("bad", "validation.tsv", false);
  ASSERT_EQ(epochs.size(), 3u);
  EXPECT_EQ(epochs[0][2], rows("good", "validation.tsv", false).back()[2]);
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
