// Maps of scores against plain loops over the tokens and the weights.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "heads/fitted_head.h"
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

// Probabilities of parts: of a score that is wrong by e, a logit is wrong by scale * e, a softmax by half of
// that at the most, a sigmoid by a quarter.
TEST_P(Explain, PartsGiveTheProbabilitiesOfSoftmaxAndSigmoid) {
  for (const auto& [precision, bound] : {std::pair(Precision::f32, 1e-5), std::pair(Precision::bf16, 2e-3)}) {
    const Engine engine = open(precision);
    const auto images = scenes(2);
    const double scale = engine.info().logit_scale;
    const std::vector<TokenMaps> maps = engine.explain(images, engine.encode_texts(kTexts));
    const Matrix softmax = engine.classify(images, kTexts);
    const Matrix sigmoid = engine.classify(images, kTexts, {.multilabel = true});
    for (size_t i = 0; i < images.size(); ++i) {
      std::vector<double> logits;
      double sum = 0;
      for (size_t k = 0; k < kTexts.size(); ++k) {
        const auto parts = maps[i].maps.row(k);
        logits.push_back(scale * std::accumulate(parts.begin(), parts.end(), maps[i].constants[k]));
        sum += std::exp(logits.back());
      }
      for (size_t k = 0; k < kTexts.size(); ++k) {
        EXPECT_NEAR(softmax.row(i)[k], std::exp(logits[k]) / sum, scale * bound / 2);
        EXPECT_NEAR(sigmoid.row(i)[k], 1 / (1 + std::exp(-logits[k])), scale * bound / 4);
      }
    }
  }
}

TEST_P(Explain, PartsOfADifferenceAddUpToTheDifferenceOfTheScores) {
  for (const auto& [precision, bound] : {std::pair(Precision::f32, 1e-5), std::pair(Precision::bf16, 2e-3)}) {
    const Engine engine = open(precision);
    const Matrix texts = engine.encode_texts(kTexts);
    Matrix difference(1, texts.cols());
    std::ranges::transform(texts.row(0), texts.row(1), difference.row(0).begin(), std::minus{});
    const TokenMaps maps = maps_of_one(engine, difference);
    EXPECT_LE(maps.completeness_error(0), bound);
    const TokenMaps each = maps_of_one(engine, texts);
    EXPECT_NEAR(maps.scores[0], each.scores[0] - each.scores[1], 1e-6);
  }
}

// The score of a linear head is that of its coefficients, and the intercept.
TEST_P(Explain, PartsOfAHeadAddUpToItsScore) {
  for (const auto& [precision, bound] : {std::pair(Precision::f32, 1e-5), std::pair(Precision::bf16, 2e-3)}) {
    const Engine engine = open(precision);
    const size_t dim = engine.info().embedding_dim;
    heads::HeadParts parts{
        .field = "x", .labels = {"a", "b"}, .coefficients = heads::Rows64(2, dim + 1), .voters = {}};
    Matrix directions(2, dim);
    for (size_t k = 0; k < 2; ++k) {
      for (size_t d = 0; d < dim; ++d) {
        directions.row(k)[d] = 3 * std::sin(static_cast<float>(d + 7 * k));
        parts.coefficients.row(k)[d] = directions.row(k)[d];
      }
      parts.coefficients.row(k)[dim] = 0.5 + static_cast<double>(k);
    }
    const heads::FittedHead head(std::move(parts));
    const heads::Rows64 scores = head.raw_scores(engine.encode_images(scenes(1)));
    const TokenMaps maps = maps_of_one(engine, directions);
    for (size_t k = 0; k < 2; ++k) {
      const auto map = maps.maps.row(k);
      const double sum = std::accumulate(map.begin(), map.end(), maps.constants[k]);
      EXPECT_NEAR(sum + 0.5 + static_cast<double>(k), scores.row(0)[k], bound * length(directions.row(k)));
    }
  }
}

TEST_P(Explain, AnyNumberOfImagesGivesTheMapsOfEachAlone) {
  const Engine engine = open();
  const auto images = scenes(engine.image_batch() + 1);
  const Matrix texts = engine.encode_texts(kTexts);
  const std::vector<TokenMaps> all = engine.explain(images, texts);
  ASSERT_EQ(all.size(), images.size());
  const TokenMaps last = std::move(engine.explain({&images.back(), 1}, texts).front());
  for (size_t i = 0; i < last.maps.cols(); ++i)
    EXPECT_NEAR(all.back().maps.row(0)[i], last.maps.row(0)[i], 2e-6);
  EXPECT_TRUE(engine.explain({}, texts).empty());
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

TEST_P(Explain, RefusesTokensOfAnotherModel) {
  const Engine engine = open();
  const std::vector<Image> images = scenes(1);
  const ScoreSplitter splitter = engine.splitter(engine.encode_texts(kTexts));
  ImageTokens tokens = engine.encode_image_tokens(images.front());
  EXPECT_NO_THROW(splitter.split(tokens));
  tokens.tokens = Matrix(tokens.rows * tokens.cols, tokens.tokens.cols() - 1);
  EXPECT_THROW(splitter.split(tokens), Error);
  EXPECT_THROW(splitter.split({}), Error);
}

// 230 directions are more than one computation takes with 9 tokens.
TEST_P(Explain, MapsByGradientsAreLinearInTheDirectionAndDoNotDependOnTheOthers) {
  const Engine engine = open();
  const ImageTokens tokens = engine.encode_image_tokens(scenes(1).front(), TokenStage::before_last);
  const Matrix texts = engine.encode_texts(kTexts);
  Matrix directions(230, texts.cols());
  std::ranges::copy(texts.values(), directions.values().begin());
  std::ranges::transform(texts.row(0), texts.row(1), directions.row(229).begin(), std::minus{});
  const TokenMaps maps = engine.gradient_maps(tokens, directions);
  const TokenMaps alone = engine.gradient_maps(tokens, texts);
  ASSERT_EQ(maps.rows, tokens.rows);
  ASSERT_EQ(maps.cols, tokens.cols);
  ASSERT_EQ(maps.maps.rows(), 230u);
  const double largest =
      std::abs(*std::ranges::max_element(maps.maps.row(0), {}, [](float v) { return std::abs(v); }));
  ASSERT_GT(largest, 0);
  for (size_t i = 0; i < maps.maps.cols(); ++i) {
    EXPECT_NEAR(maps.maps.row(229)[i], maps.maps.row(0)[i] - maps.maps.row(1)[i], 1e-5 * largest);
    EXPECT_NEAR(maps.maps.row(0)[i], alone.maps.row(0)[i], 1e-5 * largest);
    EXPECT_EQ(maps.maps.row(100)[i], 0) << "no direction has no gradient";
  }
  EXPECT_NEAR(maps.scores[229], maps.scores[0] - maps.scores[1], 1e-6);
  EXPECT_FLOAT_EQ(static_cast<float>(maps.scores[1]),
                  static_cast<float>(std::inner_product(tokens.vector.begin(), tokens.vector.end(),
                                                        texts.row(1).begin(), 0.0)));
}

// Forwards and back there are 20 products one after the other, each of two operands that are rounded.
TEST_P(Explain, MapsByGradientsLoseWithBfloat16AtMostItsRounding) {
  const auto map_in = [&](Precision precision) {
    const Engine engine = open(precision);
    const ImageTokens tokens = engine.encode_image_tokens(scenes(1).front(), TokenStage::before_last);
    const TokenMaps maps = engine.gradient_maps(tokens, open().encode_texts(kTexts));
    return std::vector<float>(maps.maps.values().begin(), maps.maps.values().end());
  };
  const std::vector<float> exact = map_in(Precision::f32);
  std::vector<float> difference = map_in(Precision::bf16);
  std::ranges::transform(difference, exact, difference.begin(), std::minus{});
  EXPECT_LE(length(difference), 40 * 0x1p-9 * length(exact));
}

TEST_P(Explain, RefusesGradientsOfTokensOfTheWrongStageAndInInt8) {
  const Engine engine = open();
  const Image image = std::move(scenes(1).front());
  const Matrix texts = engine.encode_texts(kTexts);
  EXPECT_THROW(engine.gradient_maps(engine.encode_image_tokens(image), texts), Error);
  EXPECT_THROW(engine.gradient_maps({}, texts), Error);
  const ImageTokens tokens = engine.encode_image_tokens(image, TokenStage::before_last);
  EXPECT_THROW(engine.gradient_maps(tokens, Matrix(1, 3)), Error);
  const Engine coarse =
      Engine::open(model_->folder(), {.precision = Precision::int8, .backend = "reference"});
  try {
    coarse.gradient_maps(tokens, texts);
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::unsupported);
    EXPECT_THAT(error.what(), testing::HasSubstr("maps are not computed in int8"));
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Explain, testing::Values("tiny-a", "tiny-b"),
                         [](const auto& model) { return model.index == 0 ? "TinyA" : "TinyB"; });

TEST(ExplainOneStage, HasNoStageBeforeTheLast) {
  const auto list = [](const char* key, const std::string& values) {
    return std::string(key) + ":\n" + values;
  };
  const auto four = [](const char* a, const char* b, const char* c, const char* d) {
    std::string text;
    for (const char* v : {a, b, c, d}) text += std::string("    - ") + v + "\n";
    return text;
  };
  ConfigEdits edits;
  const auto keep_first = [&](const char* key, const char* a, const char* b, const char* c, const char* d) {
    edits.emplace_back(list(key, four(a, b, c, d)), list(key, std::string("    - ") + a + "\n"));
  };
  keep_first("PATCH_SIZE", "7", "3", "3", "3");
  keep_first("PATCH_STRIDE", "4", "2", "2", "2");
  keep_first("PATCH_PADDING", "3", "1", "1", "1");
  keep_first("PATCH_PRENORM", "false", "true", "true", "true");
  keep_first("DIM_EMBED", "16", "32", "64", "128");
  keep_first("NUM_HEADS", "1", "2", "4", "8");
  keep_first("NUM_GROUPS", "1", "2", "4", "8");
  keep_first("DEPTHS", "1", "1", "2", "1");
  const ProceduralModel model("tiny-a", edits);
  const Engine engine = Engine::open(model.folder(), {.precision = Precision::f32});
  EXPECT_EQ(engine.encode_image_tokens(scenes(1).front()).rows, 24u);
  try {
    engine.encode_image_tokens(scenes(1).front(), TokenStage::before_last);
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::unsupported);
    EXPECT_THAT(error.what(), testing::HasSubstr("there is none before the last"));
  }
}

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
