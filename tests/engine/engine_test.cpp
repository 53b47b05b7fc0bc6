#include "mii/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <cmath>
#include <fstream>
#include <thread>

#include "mii/error.h"
#include "procedural_model.h"
#include "weights/model_folder.h"

namespace mii {
namespace {

using testing::HasSubstr;

Image picture(size_t width, size_t height, unsigned seed) {
  std::vector<uint8_t> pixels(width * height * 3);
  for (size_t i = 0; i < pixels.size(); ++i)
    pixels[i] = static_cast<uint8_t>((i * 2654435761u + seed * 40503u) >> 13);
  return Image::from_rgb(width, height, pixels);
}

std::vector<Image> pictures(size_t n) {
  std::vector<Image> images;
  for (size_t i = 0; i < n; ++i) images.push_back(picture(50 + i * 13, 90 + i * 7, static_cast<unsigned>(i)));
  return images;
}

float largest_difference(std::span<const float> a, std::span<const float> b) {
  float m = 0;
  for (size_t i = 0; i < a.size(); ++i) m = std::max(m, std::abs(a[i] - b[i]));
  return m;
}

class EngineTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { model_ = std::make_unique<ProceduralModel>("tiny-a"); }
  static void TearDownTestSuite() { model_.reset(); }
  static Engine open(EngineOptions options = {.precision = Precision::f32}) {
    return Engine::open(model_->folder(), options);
  }

  static std::unique_ptr<ProceduralModel> model_;
};
std::unique_ptr<ProceduralModel> EngineTest::model_;

template <typename Call>
void expect_error(ErrorCode code, const std::string& part, const Call& call) {
  try {
    call();
    ADD_FAILURE() << "no error; expected one with: " << part;
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), code) << e.what();
    EXPECT_THAT(e.what(), HasSubstr(part));
  }
}

TEST_F(EngineTest, RowsAreUnitVectors) {
  const Engine engine = open();
  const Matrix images = engine.encode_images(pictures(3));
  const Matrix texts = engine.encode_texts(std::vector<std::string>{"X-Ray", ""});
  for (const Matrix* m : {&images, &texts})
    for (size_t r = 0; r < m->rows(); ++r) {
      double sum = 0;
      for (const float v : m->row(r)) sum += double{v} * v;
      EXPECT_NEAR(sum, 1, 1e-6);
    }
}

TEST_F(EngineTest, VectorDoesNotDependOnBatchNeighbours) {
  const Engine engine = open();
  const auto images = pictures(7);
  const Matrix together = engine.encode_images(images);
  for (size_t i = 0; i < images.size(); ++i)
    EXPECT_LE(largest_difference(engine.encode_images({&images[i], 1}).row(0), together.row(i)), 2e-6f) << i;
  const std::vector<std::string> texts{"X-Ray", "Magnetic Resonance Imaging", "a"};
  const Matrix all = engine.encode_texts(texts);
  const Engine fresh = open();
  for (size_t t = 0; t < texts.size(); ++t)
    EXPECT_LE(largest_difference(fresh.encode_texts({&texts[t], 1}).row(0), all.row(t)), 2e-6f) << t;
}

TEST_F(EngineTest, EqualCallsGiveEqualBits) {
  const Engine engine = open();
  const Engine other = open();
  const auto images = pictures(3);
  const Matrix first = engine.encode_images(images);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(largest_difference(engine.encode_images(images).values(), first.values()), 0);
    EXPECT_EQ(largest_difference(other.encode_images(images).values(), first.values()), 0);
  }
}

TEST_F(EngineTest, CallersMayBeManyThreads) {
  const Engine engine = open();
  const auto images = pictures(3);
  const std::vector<std::string> labels{"X-Ray", "Ultrasound"};
  const Matrix expected = engine.classify(images, labels);
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 5; ++i)
        if (largest_difference(engine.classify(images, labels).values(), expected.values()) != 0) ++wrong;
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(EngineTest, PreparingAheadChangesNothing) {
  const Engine engine = open();
  const Image image = picture(333, 77, 1);
  const Image prepared = engine.prepare(image);
  EXPECT_EQ(prepared.width(), engine.info().image_width);
  EXPECT_EQ(largest_difference(engine.encode_images({&image, 1}).values(),
                               engine.encode_images({&prepared, 1}).values()),
            0);
}

TEST_F(EngineTest, SoftmaxSumsToOneAndSigmoidNeedNot) {
  const Engine engine = open();
  const auto images = pictures(2);
  const std::vector<std::string> labels{"X-Ray", "Ultrasound", "Dermoscopy"};
  const Matrix one = engine.classify(images, labels);
  for (size_t i = 0; i < 2; ++i) EXPECT_NEAR(one.row(i)[0] + one.row(i)[1] + one.row(i)[2], 1, 1e-6);
  const Matrix many = engine.classify(images, labels, {.multilabel = true});
  for (const float p : many.values()) EXPECT_TRUE(p >= 0 && p <= 1);
}

TEST_F(EngineTest, OneBareTemplateIsTheLabelItself) {
  const Engine engine = open();
  const auto images = pictures(2);
  const std::vector<std::string> labels{"X-Ray", "Ultrasound"};
  const Matrix bare = engine.classify(images, labels);
  EXPECT_LE(
      largest_difference(engine.classify(images, labels, {.templates = {"{}"}}).values(), bare.values()),
      1e-6f);
  const Matrix ensemble = engine.classify(images, labels, {.templates = {"a {} picture", "{}"}});
  EXPECT_GT(largest_difference(ensemble.values(), bare.values()), 1e-6f);
}

TEST_F(EngineTest, ZeroImagesAndTextsGiveZeroRows) {
  const Engine engine = open();
  EXPECT_EQ(engine.encode_images({}).rows(), 0u);
  EXPECT_EQ(engine.encode_texts({}).rows(), 0u);
  EXPECT_EQ(engine.classify({}, std::vector<std::string>{"a"}).rows(), 0u);
}

TEST_F(EngineTest, RefusesLabelsThatMakeNoSense) {
  const Engine engine = open();
  const auto images = pictures(1);
  const auto classify = [&](std::vector<std::string> labels, ClassifyOptions options = {}) {
    return [&engine, &images, labels, options] { engine.classify(images, labels, options); };
  };
  expect_error(ErrorCode::invalid_argument, "No labels", classify({}));
  expect_error(ErrorCode::invalid_argument, "label 2 is empty", classify({"a", " "}));
  expect_error(ErrorCode::invalid_argument, "label 3 is given twice", classify({"a", "b", "a"}));
  expect_error(ErrorCode::invalid_argument, "template 1 has 0 places", classify({"a"}, {.templates = {"x"}}));
  expect_error(ErrorCode::invalid_argument, "template 1 has 2 places",
               classify({"a"}, {.templates = {"{}{}"}}));
  expect_error(ErrorCode::invalid_text, "UTF-8", classify({"a\xFF"}));
  EXPECT_EQ(
      engine.classify(images, std::vector<std::string>{"a", "a"}, {.allow_duplicate_labels = true}).cols(),
      2u);
}

TEST_F(EngineTest, RefusesVectorsOfAnotherModel) {
  const Engine engine = open();
  expect_error(ErrorCode::invalid_argument, "expected 48",
               [&] { engine.classify_vectors(Matrix(1, 7), std::vector<std::string>{"a"}); });
}

TEST_F(EngineTest, TokensAverageToThePooledFeatures) {
  const Engine engine = open();
  const ImageTokens tokens = engine.encode_image_tokens(picture(60, 60, 3));
  EXPECT_EQ(tokens.rows * tokens.cols, tokens.tokens.rows());
  EXPECT_EQ(tokens.tokens.cols(), engine.info().stage_dims.back());
}

TEST_F(EngineTest, NamesTheFolderThatIsNoModel) {
  expect_error(ErrorCode::invalid_model, "no such model folder", [] { Engine::open("/nonexistent/model"); });
  expect_error(ErrorCode::invalid_model, "config.yaml", [] { Engine::open(golden_folder() / "synthetic"); });
}

TEST_F(EngineTest, AVocabularyThatDoesNotFitTheWeightsIsNamed) {
  const auto folder = std::filesystem::temp_directory_path() / ("mii-vocabulary-" + std::to_string(getpid()));
  std::filesystem::remove_all(folder);
  std::filesystem::copy(model_->folder(), folder, std::filesystem::copy_options::recursive);
  std::filesystem::remove_all(folder / "language_model");
  std::filesystem::copy(Golden("full").folder() / "language_model", folder / "language_model",
                        std::filesystem::copy_options::recursive);
  expect_error(ErrorCode::corrupt_weights, "token_embedding", [&] { Engine::open(folder); });
  std::filesystem::remove_all(folder);
}

// The text tower is read when the first text comes, a token's row of the embedding whenever it is needed.
TEST(WeightsOnDisk, AFileThatChangesUnderTheEngineIsAnErrorAndOneRenamedOverItIsNot) {
  const ProceduralModel model("tiny-b");
  const auto weights = ModelFolder::find(model.folder()).weights;
  const Engine late = Engine::open(model.folder(), {.precision = Precision::f32});
  const Engine engine = Engine::open(model.folder(), {.precision = Precision::f32});
  const std::vector<std::string> first{"one"}, second{"another text"};
  engine.encode_texts(first);

  const auto copy = weights.string() + ".new";
  std::filesystem::copy_file(weights, copy);
  std::filesystem::rename(copy, weights);
  engine.encode_texts(second);
  const Engine fresh = Engine::open(model.folder(), {.precision = Precision::f32});
  fresh.encode_texts(first);

  std::filesystem::resize_file(weights, 4096);
  late.encode_texts(first);  // holds the file that was there when it was opened
  expect_error(ErrorCode::corrupt_weights, "renaming", [&] { fresh.encode_texts(second); });
  EXPECT_EQ(fresh.encode_texts(first).rows(), 1u) << "a vector that is remembered";
}

TEST_F(EngineTest, RefusesAnImpossibleNumberOfThreads) {
  expect_error(ErrorCode::invalid_argument, "threads", [] { open({.threads = -1}); });
}

TEST_F(EngineTest, AnUnknownBackendIsAnsweredWithTheKnownOnes) {
  expect_error(ErrorCode::invalid_argument, "expected auto, cuda, cpu or reference",
               [] { open({.backend = "abacus"}); });
}

TEST_F(EngineTest, SaysWhenItComputesInFloat32Instead) {
  std::string warning;
  const Engine engine =
      open({.precision = Precision::bf16, .backend = "reference", .warn = [&](std::string_view sentence) {
              warning = sentence;
            }});
  EXPECT_EQ(warning, "bf16 has no fast kernel here: computing in f32");
  EXPECT_EQ(engine.info().precision, Precision::f32);
}

TEST_F(EngineTest, ThreadsChangeNoMoreThanRounding) {
  const auto images = pictures(2);
  const Matrix one = open({.precision = Precision::f32, .threads = 1}).encode_images(images);
  const Matrix two = open({.precision = Precision::f32, .threads = 2}).encode_images(images);
  EXPECT_LE(largest_difference(one.values(), two.values()), 2e-6f);
}

// The published model has four stages, square images and a text tower that sees both ways. Folders with
// other numbers are promised as well: here the fast backend against the plain one.
TEST(OtherLayouts, GiveTheSameVectorsOnBothBackends) {
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("mii-layout-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "odd.yaml") << R"(
IMAGE_ENCODER:
  IMAGE_SIZE: [50, 34]
  IMAGE_MEAN: [0.5, 0.4, 0.3]
  IMAGE_STD: [0.2, 0.3, 0.4]
  SPEC:
    PATCH_SIZE: [5, 2, 3]
    PATCH_STRIDE: [3, 2, 1]
    PATCH_PADDING: [2, 0, 1]
    PATCH_PRENORM: [true, false, true]
    DIM_EMBED: [24, 40, 48]
    NUM_HEADS: [3, 5, 2]
    NUM_GROUPS: [2, 4, 6]
    DEPTHS: [2, 1, 1]
    WINDOW_SIZE: 3
    CONV_AT_FFN: false
    DYNAMIC_SCALE: false
LANG_ENCODER:
  TOKENIZER: clip
  CONTEXT_LENGTH: 16
  WIDTH: 24
  HEADS: 3
  LAYERS: 2
  AUTOGRESSIVE: true
UNICL_MODEL:
  DIM_PROJECTION: 20
AUG:
  INTERPOLATION: bicubic
TEST:
  CENTER_CROP: false
)";
  const std::filesystem::path tokenizer = Golden("tiny-a").tokenizer();
  write_procedural_model(folder / "odd.yaml", tokenizer, ClipTokenizer::load(tokenizer).vocabulary_size(),
                         folder / "model");
  const Engine fast = Engine::open(folder / "model", {.precision = Precision::f32});
  const Engine plain = Engine::open(folder / "model", {.precision = Precision::f32, .backend = "reference"});
  const auto images = pictures(3);
  const std::vector<std::string> texts{
      "x", "an x-ray of the chest",
      "a text that is longer than the sixteen tokens that this model's context has"};
  // float32 against double accumulation, values of at most 1: 1e-5 as for the stages of the golden models.
  EXPECT_LE(largest_difference(fast.encode_images(images).values(), plain.encode_images(images).values()),
            1e-5);
  EXPECT_LE(largest_difference(fast.encode_texts(texts).values(), plain.encode_texts(texts).values()), 1e-5);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace mii
