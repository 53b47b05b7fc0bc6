// Maps of scores against plain loops over the tokens and the weights.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "mii/engine.h"
#include "mii/error.h"
#include "procedural_model.h"
#include "weights/checkpoint.h"
#include "weights/model_folder.h"

namespace mii {
namespace {

// Noise over a gradient, so that places differ.
Image scene(size_t width, size_t height, unsigned seed) {
  std::vector<uint8_t> pixels(width * height * 3);
  for (size_t i = 0; i < pixels.size(); ++i) {
    seed = seed * 1664525 + 1013904223;
    pixels[i] = static_cast<uint8_t>((seed >> 25) + 128 * i / pixels.size());
  }
  return Image::from_rgb(width, height, pixels);
}

std::vector<Image> scenes(size_t n) {
  std::vector<Image> images;
  for (size_t i = 0; i < n; ++i) images.push_back(scene(70 + i, 60 + 9 * i, static_cast<unsigned>(i)));
  return images;
}

TokenMaps maps_of_one(const Engine& engine, const Matrix& directions) {
  return std::move(engine.explain(scenes(1), directions).front());
}

double length(std::span<const float> values) {
  return std::sqrt(std::inner_product(values.begin(), values.end(), values.begin(), 0.0));
}

const std::vector<std::string> kTexts{"an x-ray", "a brain", "skin", "an eye"};

class Explain : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override { model_ = std::make_unique<ProceduralModel>(GetParam()); }
  Engine open(Precision precision = Precision::f32) const {
    return Engine::open(model_->folder(), {.precision = precision});
  }
  std::vector<float> weight(const std::string& name) const {
    const ModelFolder folder = ModelFolder::find(model_->folder());
    const Checkpoint checkpoint = Checkpoint::open(folder.weights, ModelConfig::read(folder.config),
                                                   ClipTokenizer::load(folder.tokenizer).vocabulary_size());
    const TensorView tensor = checkpoint.tensor(name);
    std::vector<float> values(tensor.elements());
    copy_as_float(tensor, name, values.data());
    return values;
  }

  std::unique_ptr<ProceduralModel> model_;
};

// The score is the map's, constant included: float32 against float64 for vectors of length 1, and a direction
// of any length.
TEST_P(Explain, MapsAndConstantsAddUpToTheScores) {
  const Engine engine = open();
  const auto images = scenes(3);
  const Matrix texts = engine.encode_texts(kTexts);
  const Matrix vectors = engine.encode_images(images);
  const std::vector<TokenMaps> maps = engine.explain(images, texts);
  ASSERT_EQ(maps.size(), images.size());
  for (size_t i = 0; i < images.size(); ++i)
    for (size_t k = 0; k < kTexts.size(); ++k) {
      const auto v = vectors.row(i), t = texts.row(k);
      EXPECT_NEAR(maps[i].scores[k], std::inner_product(v.begin(), v.end(), t.begin(), 0.0), 1e-5);
      EXPECT_LE(maps[i].completeness_error(k), 1e-5);
    }
}

TEST_P(Explain, ADirectionOfAnyLengthAddsUpToItsScore) {
  const Engine engine = open();
  Matrix coefficients(2, engine.info().embedding_dim);
  for (size_t d = 0; d < coefficients.cols(); ++d) {
    coefficients.row(0)[d] = 30 * std::sin(static_cast<float>(d));
    coefficients.row(1)[d] = d == 3 ? -500 : 0;
  }
  const TokenMaps maps = maps_of_one(engine, coefficients);
  for (size_t k = 0; k < 2; ++k)
    EXPECT_LE(maps.completeness_error(k), 1e-5 * length(coefficients.row(k))) << k;
}

TEST_P(Explain, LosesWithBfloat16AtMostItsRounding) {
  const Engine engine = open(Precision::bf16);
  const auto images = scenes(2);
  for (const TokenMaps& maps : engine.explain(images, engine.encode_texts(kTexts)))
    for (size_t k = 0; k < kTexts.size(); ++k) EXPECT_LE(maps.completeness_error(k), 2e-3);
}

// Each token's part on its own, not only their sum.
TEST_P(Explain, EachTokensPartIsThatOfPlainLoops) {
  const Engine engine = open();
  const auto images = scenes(1);
  const Matrix texts = engine.encode_texts(kTexts);
  const TokenMaps maps = maps_of_one(engine, texts);
  const ImageTokens tokens = engine.encode_image_tokens(images[0]);
  ASSERT_EQ(maps.rows, tokens.rows);
  ASSERT_EQ(maps.cols, tokens.cols);
  const std::vector<float> gamma = weight("image_encoder.norms.weight"),
                           beta = weight("image_encoder.norms.bias"), projection = weight("image_projection");
  const size_t n = tokens.tokens.rows(), channels = tokens.tokens.cols(), dim = texts.cols();
  std::vector<double> pooled(channels), z(dim);
  for (size_t i = 0; i < n; ++i)
    for (size_t c = 0; c < channels; ++c) pooled[c] += tokens.tokens.row(i)[c] / static_cast<double>(n);
  double mean = 0, variance = 0, norm = 0;
  for (const double p : pooled) mean += p / static_cast<double>(channels);
  for (const double p : pooled) variance += (p - mean) * (p - mean) / static_cast<double>(channels);
  const double sigma = std::sqrt(variance + 1e-5);
  for (size_t c = 0; c < channels; ++c)
    for (size_t d = 0; d < dim; ++d)
      z[d] += (gamma[c] * (pooled[c] - mean) / sigma + beta[c]) * projection[c * dim + d];
  for (const double value : z) norm += value * value;
  norm = std::sqrt(norm);
  for (size_t k = 0; k < kTexts.size(); ++k)
    for (size_t i = 0; i < n; ++i) {
      const auto x = tokens.tokens.row(i);
      const double token_mean = std::accumulate(x.begin(), x.end(), 0.0) / static_cast<double>(channels);
      double part = 0;
      for (size_t c = 0; c < channels; ++c)
        for (size_t d = 0; d < dim; ++d)
          part += gamma[c] * projection[c * dim + d] * texts.row(k)[d] * (x[c] - token_mean);
      EXPECT_NEAR(maps.maps.row(k)[i], part / (static_cast<double>(n) * sigma * norm), 1e-6) << k << ' ' << i;
    }
}

TEST_P(Explain, TheMapOfADifferenceIsTheDifferenceOfTheMaps) {
  const Engine engine = open();
  const Matrix texts = engine.encode_texts(kTexts);
  Matrix directions(3, texts.cols());
  for (size_t d = 0; d < texts.cols(); ++d) {
    directions.row(0)[d] = texts.row(0)[d];
    directions.row(1)[d] = texts.row(1)[d];
    directions.row(2)[d] = texts.row(0)[d] - texts.row(1)[d];
  }
  const TokenMaps maps = maps_of_one(engine, directions);
  for (size_t i = 0; i < maps.maps.cols(); ++i)
    EXPECT_NEAR(maps.maps.row(2)[i], maps.maps.row(0)[i] - maps.maps.row(1)[i], 1e-6);
  EXPECT_NEAR(maps.constants[2], maps.constants[0] - maps.constants[1], 1e-6);
}

TEST_P(Explain, ContrastedDirectionsAddUpToNothingAndCentredMapsToo) {
  const Engine engine = open();
  const Matrix directions = contrasted(engine.encode_texts(kTexts));
  for (size_t d = 0; d < directions.cols(); ++d) {
    double sum = 0;
    for (size_t k = 0; k < directions.rows(); ++k) sum += directions.row(k)[d];
    EXPECT_NEAR(sum, 0, 1e-6);
  }
  const TokenMaps maps = maps_of_one(engine, directions);
  const std::vector<float> centred = maps.centred(0);
  EXPECT_NEAR(std::accumulate(centred.begin(), centred.end(), 0.0), 0, 1e-6);
  for (size_t i = 1; i < centred.size(); ++i)
    EXPECT_NEAR(centred[i] - centred[0], maps.maps.row(0)[i] - maps.maps.row(0)[0], 1e-6);
}

TEST_P(Explain, RefusesDirectionsOfAnotherWidth) {
  const Engine engine = open();
  try {
    engine.explain(scenes(1), Matrix(1, 3));
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
    EXPECT_THAT(error.what(), testing::HasSubstr("directions of 3 values"));
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Explain, testing::Values("tiny-a", "tiny-b"),
                         [](const auto& model) { return model.index == 0 ? "TinyA" : "TinyB"; });

TEST(ExplainStarter, AddsUpForTheModelThatComesWithTheProgram) {
  for (const auto& [precision, bound] : {std::pair(Precision::f32, 1e-5), std::pair(Precision::bf16, 2e-3)}) {
    const Engine engine = Engine::open(MII_STARTER, {.precision = precision});
    double worst = 0;
    for (const TokenMaps& maps : engine.explain(scenes(3), engine.encode_texts(kTexts)))
      for (size_t k = 0; k < kTexts.size(); ++k) worst = std::max(worst, maps.completeness_error(k));
    EXPECT_LE(worst, bound);
    RecordProperty(std::string("completeness_") + to_string(precision), std::to_string(worst));
  }
}

}  // namespace
}  // namespace mii
