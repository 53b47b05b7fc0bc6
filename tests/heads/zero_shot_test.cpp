#include <gmock/gmock.h>

#include <cmath>

#include "mii/error.h"
#include "mii/head.h"

namespace mii {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Matrix matrix(std::initializer_list<std::initializer_list<float>> rows) {
  Matrix m(rows.size(), rows.begin()->size());
  size_t r = 0;
  for (const auto& row : rows) std::ranges::copy(row, m.row(r++).begin());
  return m;
}

std::string refusal(const std::vector<std::string>& labels, const ClassifyOptions& options = {}) {
  try {
    LabelPrompts prompts(labels, options);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::invalid_argument);
    return e.what();
  }
  return "accepted";
}

TEST(LabelPrompts, PutsEachLabelIntoEachTemplate) {
  const std::vector<std::string> labels{"CT", "MRI"};
  EXPECT_THAT(LabelPrompts(labels, {}).texts(), ElementsAre("CT", "MRI"));
  EXPECT_THAT(LabelPrompts(labels, {.templates = {"a {}", "{} of a knee"}}).texts(),
              ElementsAre("a CT", "CT of a knee", "a MRI", "MRI of a knee"));
}

TEST(LabelPrompts, ScoresALabelByThePromptThatStandsForIt) {
  const std::vector<std::string> labels{"CT", "超声"};
  const ClassifyOptions options{.prompts = {"CT", "ultrasound"}, .templates = {"a {}", "the {}"}};
  const LabelPrompts prompts(labels, options);
  EXPECT_THAT(prompts.texts(), ElementsAre("a CT", "the CT", "a ultrasound", "the ultrasound"));
  EXPECT_THAT(prompts.head(Matrix(4, 2), 1).labels(), ElementsAre("CT", "超声"));
  EXPECT_THROW(LabelPrompts(labels, {.prompts = {"ultrasound"}}), Error);
}

TEST(LabelPrompts, RefusesLabelsAndTemplatesThatAreNone) {
  EXPECT_THAT(refusal({}), HasSubstr("No labels"));
  EXPECT_THAT(refusal({"CT", " \t"}), HasSubstr("label 2 is empty"));
  EXPECT_THAT(refusal({"CT", "MRI", "CT"}), HasSubstr("label 3 is given twice"));
  EXPECT_EQ(refusal({"CT", "CT"}, {.allow_duplicate_labels = true}), "accepted");
  EXPECT_THAT(refusal({"CT"}, {.templates = {"a {}", "no place"}}), HasSubstr("template 2 has 0 places"));
  EXPECT_THAT(refusal({"CT"}, {.templates = {"{} or {}"}}), HasSubstr("has 2 places"));
}

// The softmax of 10 * cosine: e^10 / (e^10 + e^0) and so on.
TEST(ZeroShotHead, GivesTheSoftmaxOfTheScaledCosine) {
  const ZeroShotHead head({"x", "y"}, matrix({{1, 0}, {0, 1}}), 10, false);
  const Matrix scores = head.score(matrix({{1, 0}, {0.6f, 0.8f}}));
  EXPECT_FLOAT_EQ(scores.row(0)[0], static_cast<float>(1 / (1 + std::exp(-10.0))));
  EXPECT_FLOAT_EQ(scores.row(1)[1], static_cast<float>(1 / (1 + std::exp(10 * (0.6f - 0.8f)))));
  EXPECT_FLOAT_EQ(scores.row(1)[0] + scores.row(1)[1], 1);
}

TEST(ZeroShotHead, ScoresEachLabelAloneWhenMultilabel) {
  const ZeroShotHead head({"x", "y"}, matrix({{1, 0}, {1, 0}}), 2, true);
  const Matrix scores = head.score(matrix({{0.5f, 0}}));
  EXPECT_FLOAT_EQ(scores.row(0)[0], static_cast<float>(1 / (1 + std::exp(-1.0))));
  EXPECT_FLOAT_EQ(scores.row(0)[1], scores.row(0)[0]);
}

// (1, 0) and (0, 1) average to the direction (1, 1).
TEST(ZeroShotHead, AveragesThePromptsOfALabelAndNormalisesAgain) {
  const std::vector<std::string> labels{"x"};
  const LabelPrompts prompts(labels, {.templates = {"a {}", "the {}"}});
  const ZeroShotHead head = prompts.head(matrix({{1, 0}, {0, 1}}), 1);
  EXPECT_FLOAT_EQ(head.label_vectors().row(0)[0], static_cast<float>(std::sqrt(0.5)));
  EXPECT_FLOAT_EQ(head.label_vectors().row(0)[1], static_cast<float>(std::sqrt(0.5)));
}

TEST(ZeroShotHead, TakesNoImagesAndRefusesVectorsOfAnotherModel) {
  const ZeroShotHead head({"x", "y"}, matrix({{1, 0}, {0, 1}}), 10, false);
  EXPECT_EQ(head.score(Matrix(0, 0)).rows(), 0u);
  EXPECT_THROW(head.score(Matrix(1, 3)), Error);
  EXPECT_THROW(LabelPrompts(head.labels(), {}).head(Matrix(3, 2), 1), Error);
}

}  // namespace
}  // namespace mii
