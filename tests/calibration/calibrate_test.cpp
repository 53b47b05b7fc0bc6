#include "calibration/calibrate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <memory>

#include "backend/registry.h"
#include "changed_model.h"
#include "core/cosine.h"
#include "image/preprocess.h"
#include "mii/engine.h"
#include "mii/error.h"
#include "procedural_model.h"
#include "weights/convert.h"

namespace mii {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

bool has_fast_int8() {
  const BackendEntry& cpu = find_backend("cpu");
  return std::ranges::count(cpu.precisions(), Precision::int8) > 0;
}

int64_t vocabulary_of(const fs::path& model) {
  return ClipTokenizer::load(ModelFolder::find(model).tokenizer).vocabulary_size();
}

// Images of a model's size.
class Images {
 public:
  explicit Images(const std::vector<std::string>& names) {
    for (const std::string& name : names)
      images_.push_back(resize_bicubic(Image::read(golden_folder() / "synthetic" / name), 96, 96));
  }
  const std::vector<Image>& list() const { return images_; }
  std::vector<std::span<const uint8_t>> pixels() const {
    std::vector<std::span<const uint8_t>> all;
    for (const Image& image : images_) all.push_back(image.pixels());
    return all;
  }

 private:
  std::vector<Image> images_;
};

// One model for all tests; one thread, so that nobody waits for a busy processor.
class Calibrate : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    plain_ = std::make_unique<ProceduralModel>("tiny-a");
    outliers_ =
        std::make_unique<ProceduralModel>("tiny-a", ConfigEdits{}, ProceduralOptions{.outliers = true});
  }
  static void TearDownTestSuite() {
    plain_.reset();
    outliers_.reset();
  }
  void SetUp() override {
    if (!has_fast_int8()) GTEST_SKIP() << "int8 is not offered here";
  }
  void TearDown() override { fs::remove_all(out_); }

  static Calibration calibrated(const fs::path& model, const Images& images, double max_distance) {
    return calibrate(ModelFolder::find(model), vocabulary_of(model), images.pixels(),
                     {.max_distance = max_distance, .threads = 1, .progress = {}});
  }
  static Calibration smoothed(const fs::path& model, const Images& images) {
    return calibrate(ModelFolder::find(model), vocabulary_of(model), images.pixels(),
                     {.max_distance = 3e-4, .smooth = true, .threads = 1, .progress = {}});
  }

  static Matrix vectors(const fs::path& model, Precision precision, const Images& images) {
    return Engine::open(model, {.precision = precision, .backend = "cpu", .threads = 1})
        .encode_images(images.list());
  }

  // Of the vectors that a folder gives in int8 from those of another model in f32.
  static double largest_distance(const fs::path& int8, const fs::path& exact, const Images& images) {
    const Matrix a = vectors(int8, Precision::int8, images), b = vectors(exact, Precision::f32, images);
    double largest = 0;
    for (size_t i = 0; i < a.rows(); ++i) largest = std::max(largest, cosine_distance(a.row(i), b.row(i)));
    return largest;
  }

  static std::unique_ptr<ProceduralModel> plain_, outliers_;
  const Images images_{{"rgb.png", "grey.png", "cmyk.jpg", "palette.png"}};
  fs::path out_ = fs::temp_directory_path() / ("mii-calibrated-" + std::to_string(getpid()));
};
std::unique_ptr<ProceduralModel> Calibrate::plain_, Calibrate::outliers_;

// Only 8 bits notice the outliers: otherwise the model is not the test that it is meant to be.
TEST_F(Calibrate, TheOutliersAreThereForInt8Alone) {
  const Matrix with = vectors(outliers_->folder(), Precision::f32, images_),
               without = vectors(plain_->folder(), Precision::f32, images_);
  EXPECT_TRUE(std::ranges::equal(with.values(), without.values()));
  const double plain = largest_distance(plain_->folder(), plain_->folder(), images_);
  const double outliers = largest_distance(outliers_->folder(), plain_->folder(), images_);
  EXPECT_LE(plain, 3e-4);  // what int8 promises
  EXPECT_GE(outliers, 3e-4);
}

TEST_F(Calibrate, AFolderOfAModelWithOutliersKeepsThePromisedDistance) {
  const fs::path& model = outliers_->folder();
  const Calibration c = calibrated(model, images_, 3e-4);
  EXPECT_GT(c.distance_of_all, 3e-4);
  EXPECT_LE(c.distance, 3e-4);
  EXPECT_FALSE(c.float_layers.empty());
  EXPECT_LT(c.float_layers.size(), c.layers.size());
  convert_model(model, vocabulary_of(model), {.dtype = DType::i8, .float_layers = c.float_layers}, out_);
  // The folder computes the very same.
  EXPECT_DOUBLE_EQ(largest_distance(out_, model, images_), c.distance);
}

// The outliers are among the inputs of qkv and fc1, and of no other layers.
TEST_F(Calibrate, FindsThatTheLayersThatReadOutliersAreTheWorst) {
  const Calibration c = calibrated(outliers_->folder(), images_, 3e-4);
  for (size_t i = 0; i < 5; ++i) {
    const std::string& name = c.layers[i].name;
    EXPECT_TRUE(name.ends_with(".qkv.weight") || name.ends_with(".fc1.weight")) << name;
    EXPECT_TRUE(c.float_layers.contains(name)) << name;
  }
}

TEST_F(Calibrate, LeavesEveryLayerInInt8WhereThatIsNearEnough) {
  const Calibration c = calibrated(plain_->folder(), images_, 3e-4);
  EXPECT_TRUE(c.float_layers.empty());
  EXPECT_EQ(c.distance, c.distance_of_all);
  EXPECT_LE(c.distance, 3e-4);
}

TEST_F(Calibrate, ListsEachLayerOfTheImageTowerOnceTheWorstFirst) {
  const Calibration c = calibrated(outliers_->folder(), images_, 1);
  const ModelFolder folder = ModelFolder::find(outliers_->folder());
  std::set<std::string> expected, listed;
  for (const TensorSpec& spec :
       tensor_specs(ModelConfig::read(folder.config), vocabulary_of(outliers_->folder())))
    if (is_int8_layer(spec) && spec.name.starts_with("image_encoder.")) expected.insert(spec.name);
  for (const LayerError& layer : c.layers) listed.insert(layer.name);
  EXPECT_EQ(listed, expected);
  EXPECT_EQ(c.layers.size(), expected.size());
  EXPECT_TRUE(std::ranges::is_sorted(c.layers, std::ranges::greater(), &LayerError::distance));
}

TEST_F(Calibrate, GivesTheSameAnswerTwice) {
  const Calibration a = calibrated(outliers_->folder(), images_, 3e-4),
                    b = calibrated(outliers_->folder(), images_, 3e-4);
  EXPECT_EQ(a.float_layers, b.float_layers);
  EXPECT_EQ(a.distance, b.distance);
  EXPECT_EQ(a.distance_of_all, b.distance_of_all);
  ASSERT_EQ(a.layers.size(), b.layers.size());
  for (size_t i = 0; i < a.layers.size(); ++i) {
    EXPECT_EQ(a.layers[i].name, b.layers[i].name);
    EXPECT_EQ(a.layers[i].distance, b.layers[i].distance);
  }
}

// No layer needs to stay in floats then.
TEST_F(Calibrate, SmoothingTakesTheOutliersAway) {
  const fs::path& model = outliers_->folder();
  const Calibration c = smoothed(model, images_);
  EXPECT_GT(c.distance_unsmoothed, 3e-4);
  EXPECT_LE(c.distance_of_all, 3e-4);  // what int8 promises
  EXPECT_TRUE(c.float_layers.empty());
  convert_model(model, vocabulary_of(model), {.dtype = DType::i8}, out_, c.column_factors);
  EXPECT_DOUBLE_EQ(largest_distance(out_, model, images_), c.distance_of_all);
}

TEST_F(Calibrate, SmoothedWeightsGiveTheSameBitsInF32) {
  const fs::path& model = outliers_->folder();
  const Calibration c = smoothed(model, images_);
  ASSERT_FALSE(c.column_factors.empty());
  convert_model(model, vocabulary_of(model), {}, out_, c.column_factors);
  const Matrix before = vectors(model, Precision::f32, images_),
               after = vectors(out_, Precision::f32, images_);
  EXPECT_TRUE(std::ranges::equal(before.values(), after.values()));
}

// Each norm of a block that a layer reads, that layer, and nothing else.
TEST_F(Calibrate, SmoothingMovesFactorsFromNormsIntoWhatReadsThem) {
  const Calibration c = smoothed(outliers_->folder(), images_);
  size_t readers = 0;
  for (const auto& [name, factors] : c.column_factors) {
    if (!name.ends_with(".qkv.weight") && !name.ends_with(".fc1.weight")) {
      EXPECT_TRUE(name.ends_with(".norm.weight") || name.ends_with(".norm.bias")) << name;
      continue;
    }
    ++readers;
    const std::string block = name.substr(0, name.find(".fn."));
    for (const char* part : {".norm.weight", ".norm.bias"}) {
      const auto norm = c.column_factors.find(block + part);
      ASSERT_NE(norm, c.column_factors.end()) << block << part;
      for (size_t i = 0; i < factors.size(); ++i) EXPECT_EQ(factors[i] * norm->second[i], 1) << name;
    }
  }
  EXPECT_EQ(c.column_factors.size(), 3 * readers);
  EXPECT_EQ(readers, static_cast<size_t>(std::ranges::count_if(c.layers, [](const LayerError& layer) {
              return layer.name.ends_with(".qkv.weight") || layer.name.ends_with(".fc1.weight");
            })));
}

TEST_F(Calibrate, OneImageIsEnough) {
  const Images one{{"rgb.png"}};
  const Calibration c = calibrated(outliers_->folder(), one, 3e-4);
  EXPECT_LE(c.distance, 3e-4);
}

void expect_refused(ErrorCode code, const std::string& why, const std::function<void()>& call) {
  try {
    call();
    ADD_FAILURE() << "accepted; expected: " << why;
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), code);
    EXPECT_THAT(e.what(), HasSubstr(why));
  }
}

TEST_F(Calibrate, NoImagesAreRefused) {
  expect_refused(ErrorCode::invalid_argument, "without images",
                 [&] { calibrated(plain_->folder(), Images{{}}, 1e-3); });
}

TEST_F(Calibrate, ADistanceThatIsNoneIsRefused) {
  for (const double bad : {0.0, -1e-3, std::numeric_limits<double>::quiet_NaN()})
    expect_refused(ErrorCode::invalid_argument, "expected a number above 0",
                   [&] { calibrated(plain_->folder(), images_, bad); });
}

// bf16 rounds too.
TEST_F(Calibrate, ADistanceThatFloatsDoNotKeepIsSaid) {
  expect_refused(ErrorCode::invalid_argument, "floats alone have",
                 [&] { calibrated(plain_->folder(), images_, 1e-12); });
}

TEST_F(Calibrate, WeightsOfInt8CannotBeSmoothed) {
  const fs::path& model = plain_->folder();
  convert_model(model, vocabulary_of(model), {.dtype = DType::i8}, out_);
  expect_refused(ErrorCode::invalid_argument, "int8 already", [&] { smoothed(out_, images_); });
}

// Finite weights whose products are not: comparing with what is no number must not end in "near enough".
TEST_F(Calibrate, VectorsThatAreNotFiniteAreSaid) {
  copy_changed_model(plain_->folder(), out_, [](const TensorSpec& spec, std::span<float> values) {
    if (spec.name == "image_projection") std::ranges::fill(values, 3e38f);
  });
  expect_refused(ErrorCode::corrupt_weights, "not finite in f32", [&] { calibrated(out_, images_, 1e-3); });
}

TEST_F(Calibrate, SaysHowFarItIs) {
  size_t last = 0, all = 0;
  const ModelFolder folder = ModelFolder::find(outliers_->folder());
  const Images one{{"rgb.png"}};
  const Calibration c =
      calibrate(folder, vocabulary_of(outliers_->folder()), one.pixels(),
                {.max_distance = 3e-4, .threads = 1, .progress = [&](size_t done, size_t n) {
                   EXPECT_EQ(done, last + 1);
                   last = done;
                   all = n;
                 }});
  EXPECT_LE(last, all);
  EXPECT_GT(last, c.layers.size());
}

}  // namespace
}  // namespace mii
