#include <gmock/gmock.h>

#include <filesystem>

#include "core/file.h"
#include "heads/head_file.h"
#include "heads/made_up.h"
#include "mii/error.h"
#include "weights/safetensors.h"

namespace mii::heads {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class HeadFile : public testing::Test {
 protected:
  void SetUp() override {
    path_ = std::filesystem::path(testing::TempDir()) /
            (std::string(testing::UnitTest::GetInstance()->current_test_info()->name()) + ".safetensors");
  }
  void TearDown() override { std::filesystem::remove(path_); }

  std::vector<std::byte> written(const FittedHead& head) {
    write_head(head, path_);
    return read_file(path_, 1 << 20);
  }

  std::filesystem::path path_;
};

FittedHead some_head(Kind kind, Calibration::Kind calibration) {
  const MadeUp made{.noise = 1};
  const LabelTexts texts = made.texts();
  const FitOptions options{
      .kind = kind,
      .field = "finding",
      .train_mlp = sums_of_labels,
      .with_texts = kind == Kind::knn,
      .calibration = calibration,
      .points = {PointRule::parse("sensitivity=0.9"), PointRule::parse("specificity=0.9")}};
  return fit_head(made.data(), {}, &texts, options, some_identity());
}

std::string refusal(const std::vector<std::byte>& bytes) {
  try {
    parse_head(bytes, "x.head");
  } catch (const Error& e) {
    EXPECT_THAT(e.code(), testing::AnyOf(ErrorCode::corrupt_weights, ErrorCode::unsupported));
    EXPECT_THAT(e.what(), HasSubstr("x.head"));
    return e.what();
  }
  return "accepted";
}

TEST_F(HeadFile, ReadsBackWhatItWroteToTheLastBit) {
  const LabelledVectors data = MadeUp{.rows = 40}.data();
  for (const Kind kind : {Kind::logistic, Kind::knn, Kind::ss_text, Kind::lp_plus_plus, Kind::mlp}) {
    for (const auto calibration : {Calibration::Kind::none, Calibration::Kind::temperature,
                                   Calibration::Kind::platt, Calibration::Kind::isotonic}) {
      const FittedHead head = some_head(kind, calibration);
      const FittedHead read = parse_head(written(head), "x");
      EXPECT_TRUE(std::ranges::equal(read.score(data.vectors).values(), head.score(data.vectors).values()));
      EXPECT_EQ(head_card(read.parts()), head_card(head.parts()));
      EXPECT_EQ(read.parts().points[1][0].threshold, head.parts().points[1][0].threshold);
      EXPECT_EQ(read.parts().identity, head.parts().identity);
    }
  }
}

TEST_F(HeadFile, HoldsACardThatAPersonCanRead) {
  const std::vector<std::byte> bytes = written(some_head(Kind::logistic, Calibration::Kind::temperature));
  const std::string card = parse_safetensors(bytes, "x").metadata.at("card");
  for (const char* part : {"logistic head for 'finding': 3 labels", "not a medical device",
                           "fitted on     96 images of 48 patients", "held out      24 images of 12 patients",
                           "chosen in 5 folds of 48 patients", "calibration   temperature", "  a (32, 16)",
                           "sensitivity=0.9", "profile auto"})
    EXPECT_THAT(card, HasSubstr(part));
}

TEST_F(HeadFile, EveryTruncationIsRefused) {
  for (const Kind kind : {Kind::knn, Kind::mlp}) {
    const std::vector<std::byte> bytes = written(some_head(kind, Calibration::Kind::isotonic));
    for (size_t n = 0; n < bytes.size(); n += n < 64 ? 1 : 101)
      EXPECT_NE(refusal({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n)}), "accepted") << n;
  }
}

// What is said of a file in which one text stands in place of another.
std::string refusal_of(const std::vector<std::byte>& bytes, const std::string& from, const std::string& to) {
  std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  EXPECT_EQ(from.size(), to.size());
  text.replace(at, to.size(), to);
  const auto span = std::as_bytes(std::span(text));
  return refusal({span.begin(), span.end()});
}

TEST_F(HeadFile, LayersThatDoNotFitAreRefused) {
  const std::vector<std::byte> bytes = written(some_head(Kind::mlp, Calibration::Kind::none));
  const auto damaged = [&](const std::string& from, const std::string& to) {
    return refusal_of(bytes, from, to);
  };
  EXPECT_THAT(damaged("[3,4]", "[4,3]"), HasSubstr("layer 2 takes 2 values, but the one before it gives 3"));
  EXPECT_THAT(damaged("[3,9]", "[9,3]"), HasSubstr("layer 1 has a norm that does not fit its 9 values"));
  EXPECT_THAT(damaged("\"layers.1\"", "\"loyers.1\""), HasSubstr("no matrix 'layers.1' of F32"));
  EXPECT_THAT(damaged("\"layers.0.norm\"", "\"layers.0.nurm\""),
              HasSubstr("no matrix 'layers.0.norm' of F32"));
  EXPECT_THAT(damaged("\\\"norm\\\"", "\\\"nurm\\\""), HasSubstr("a layer's step 'nurm'"));
  EXPECT_THAT(damaged("\\\"mlp\\\": {", "\\\"mpl\\\": {"), HasSubstr("without coefficients"));
}

TEST_F(HeadFile, DamagedNumbersAndTextsAreRefused) {
  std::vector<std::byte> bytes = written(some_head(Kind::logistic, Calibration::Kind::none));
  const auto damaged = [&](const std::string& from, const std::string& to) {
    return refusal_of(bytes, from, to);
  };
  EXPECT_THAT(damaged("\\\"kind\\\": \\\"logistic", "\\\"kind\\\": \\\"logostic"),
              HasSubstr("kind of head 'logostic'"));
  EXPECT_THAT(damaged("\\\"answer\\\"", "\\\"onswer\\\""), HasSubstr("there is no 'answer'"));
  EXPECT_THAT(damaged("\\\"version\\\": 1", "\\\"version\\\": 2"), HasSubstr("later version"));
  EXPECT_THAT(damaged("[\\\"a\\\", \\\"b\\\"", "[\\\"a\\\", \\\"a\\\""),
              HasSubstr("empty or repeated label"));
  EXPECT_THAT(damaged("\\\"points\\\": [", "\\\"points\\\": ]"), HasSubstr("no JSON"));
  EXPECT_THAT(damaged("\\\"seed\\\": 1", "\\\"seed\\\":-1"),
              HasSubstr("'record.seed' is not a whole number"));
  EXPECT_THAT(damaged("coefficients", "coeffocients"), HasSubstr("without coefficients"));
  EXPECT_THAT(damaged("\"head\":", "\"haed\":"), HasSubstr("it is no head"));
  for (size_t i = bytes.size() - 8; i < bytes.size(); ++i) bytes[i] = std::byte{0xFF};
  EXPECT_THAT(refusal(bytes), HasSubstr("not finite"));
}

TEST_F(HeadFile, AMissingFileIsNamed) {
  try {
    read_head("/nowhere/x.head");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::io);
    EXPECT_THAT(e.what(), HasSubstr("/nowhere/x.head"));
  }
}

TEST(FittedHead, RefusesNumbersWhoseSumsMightNotBeFinite) {
  const auto make = [](double coefficient, float temperature) {
    HeadParts parts{.labels = {"a", "b"}, .coefficients = Rows64(2, 3)};
    parts.coefficients.row(1)[0] = coefficient;
    parts.calibration = {.kind = Calibration::Kind::temperature, .temperature = temperature};
    return FittedHead(std::move(parts));
  };
  Matrix vector(1, 2);
  vector.row(0)[0] = 3e38f;
  const Matrix answer = make(1e30, 1e-29f).score(vector);
  EXPECT_THAT(answer.values(), ElementsAre(0, 1));
  EXPECT_THROW(make(1.1e30, 1), Error);
  EXPECT_THROW(make(HUGE_VAL, 1), Error);
  for (const float temperature : {0.0f, -1.0f, 1e-31f, 1e31f, NAN}) EXPECT_THROW(make(1, temperature), Error);
}

TEST(FittedHead, RefusesVectorsOfAnotherMakingAndSaysWhatDiffers) {
  const FittedHead head = some_head(Kind::logistic, Calibration::Kind::none);
  EXPECT_TRUE(head.expect_made_alike(some_identity()).empty());
  Identity precision = some_identity();
  precision.precision = "bf16";
  EXPECT_THAT(head.expect_made_alike(precision), ElementsAre("precision: 'bf16', expected 'f32'"));
  Identity other = precision;
  other.preprocessing = "profile ct-lung";
  try {
    head.expect_made_alike(other);
    FAIL();
  } catch (const Error& e) {
    EXPECT_STREQ(
        e.what(),
        "the head is for vectors of another making: preprocessing: 'profile ct-lung', expected 'profile "
        "auto'");
  }
  EXPECT_THROW(head.score(Matrix(1, 9)), Error);
  EXPECT_EQ(head.score(Matrix(0, 0)).rows(), 0u);
}

}  // namespace
}  // namespace mii::heads
