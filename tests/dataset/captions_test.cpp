#include "dataset/captions.h"

#include <gmock/gmock.h>

#include <fstream>

#include "mii/error.h"

namespace mii {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const CaptionRules kRules{
    .fields = {"modality", "finding"},
    .templates = {"{modality}", "{modality} showing {finding}", "{finding}"},
    .synonyms = {{"modality", {{"CT", {"computed tomography"}}}}},
    .broader = {{"finding", {{"viral pneumonia", {"pneumonia"}}}}},
};
const std::vector<LabelSet> kSets{
    {"CT", "viral pneumonia"}, {"CT", ""}, {"X-Ray", "fracture"}, {"CT", "pneumonia"}};

size_t index_of(const Composition& c, const std::string& name) {
  for (size_t i = 0; i < c.concepts.size(); ++i)
    if (c.concepts[i].about.name == name) return i;
  ADD_FAILURE() << "no concept '" << name << "'";
  return 0;
}

Truth truth(const Composition& c, size_t set, const std::string& name) {
  return c.truth[set * c.concepts.size() + index_of(c, name)];
}

TEST(Captions, AreAllTemplatesWithAllSynonymsThePlainestFirst) {
  const Composition c = compose(kRules, kSets, 100);
  EXPECT_THAT(c.concepts[index_of(c, "CT")].captions, ElementsAre("CT", "computed tomography"));
  EXPECT_THAT(c.concepts[index_of(c, "CT showing viral pneumonia")].captions,
              ElementsAre("CT showing viral pneumonia", "computed tomography showing viral pneumonia"));
}

TEST(Captions, AreKeptUpToTheLimit) {
  const Composition c = compose(kRules, kSets, 1);
  for (const auto& composed : c.concepts) EXPECT_EQ(composed.captions.size(), 1u);
}

TEST(Captions, AreDrawnByLabelSetsThatHaveTheirFieldsOrNarrowerValues) {
  const Composition c = compose(kRules, kSets, 100);
  EXPECT_THAT(c.concepts[index_of(c, "CT")].about.drawn_by, ElementsAre(0, 1, 3));
  EXPECT_THAT(c.concepts[index_of(c, "pneumonia")].about.drawn_by, ElementsAre(0, 3));
  EXPECT_THAT(c.concepts[index_of(c, "viral pneumonia")].about.drawn_by, ElementsAre(0));
}

TEST(Captions, OfOneFieldSaySo) {
  const Composition c = compose(kRules, kSets, 100);
  EXPECT_EQ(c.concepts[index_of(c, "CT")].about.field, 0);
  EXPECT_EQ(c.concepts[index_of(c, "fracture")].about.field, 1);
  EXPECT_EQ(c.concepts[index_of(c, "X-Ray showing fracture")].about.field, -1);
}

TEST(Captions, BroaderValuesAreTrueNarrowerOnesAreUnknown) {
  const Composition c = compose(kRules, kSets, 100);
  EXPECT_EQ(truth(c, 0, "pneumonia"), Truth::yes);
  EXPECT_EQ(truth(c, 3, "viral pneumonia"), Truth::unknown);
  EXPECT_EQ(truth(c, 2, "pneumonia"), Truth::no);
  EXPECT_EQ(truth(c, 2, "CT"), Truth::no);
}

TEST(Captions, AValueThatIsNotKnownMightBeOneThatLikeImagesHave) {
  const Composition c = compose(kRules, kSets, 100);
  EXPECT_EQ(truth(c, 1, "pneumonia"), Truth::unknown);
  EXPECT_EQ(truth(c, 1, "fracture"), Truth::no);  // no CT has ever had one
}

std::string refusal(const std::string& yaml) {
  const auto path = std::filesystem::temp_directory_path() / ("mii-captions-" + std::to_string(getpid()));
  std::ofstream(path) << yaml;
  std::string what = "accepted";
  try {
    CaptionRules::read(path);
  } catch (const Error& e) {
    what = e.what();
  }
  std::filesystem::remove(path);
  return what;
}

TEST(Captions, WrongRulesAreRefusedWithTheLine) {
  EXPECT_THAT(refusal("fields: [a]\ntemplates: x\n"), HasSubstr(":2: expected a list"));
  EXPECT_THAT(refusal("fields: [a]\n"), HasSubstr("templates"));
  EXPECT_THAT(refusal("- a\n"), HasSubstr(":1: expected a map"));
  EXPECT_THAT(refusal("a: [\n"), HasSubstr("not valid YAML"));
  EXPECT_THAT(refusal("fields: [a]\ntemplates: ['{a}']\nsynonyms: {a: {v: [[1]]}}\n"),
              HasSubstr(":3: expected a text"));
}

TEST(Captions, ATemplateWithAnUnknownFieldIsRefused) {
  CaptionRules rules = kRules;
  rules.templates.push_back("{view}");
  EXPECT_THROW(compose(rules, kSets, 10), Error);
}

}  // namespace
}  // namespace mii
